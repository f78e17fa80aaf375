"""`edgesdk run`."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgesdk.cli.output import JsonFlag, console, note, note_choice, print_json, progress_line
from edgesdk.cli.tune import HintName

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgesdk.embedded_model import Model
    from edgesdk_agent.frame import FrameResult
    from edgesdk_agent.meter import FrameStats
    from edgesdk_agent.timeline.timeline import Timeline


def run(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")],
    source: Annotated[
        str, typer.Option("--source", "-s", help="Video file, folder, picture, 0, rtsp://…, http://…, synthetic:")
    ],
    save: Annotated[Path | None, typer.Option(help="Write the annotated video (.mp4, .avi).")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show it: a window, or a page on loopback.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of that page; 0 takes a free one.")] = 0,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Take this target's variant.")] = None,
    variant: Annotated[str | None, typer.Option(help="Take this variant.")] = None,
    mode: Annotated[str | None, typer.Option(help="freshest or every_frame; by the source unless given.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads for one inference; 0 lets the runtime choose.")] = 0,
    streams: Annotated[int, typer.Option(min=1, help="Inferences at the same time, each with its threads.")] = 1,
    hint: Annotated[
        HintName | None,
        typer.Option(
            help="Take the variant, threads and streams measured best for it here, in seconds at the first time."
        ),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Write where each frame's time went (.html, or .json for Perfetto).")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run a bundle on a camera, video or folder and draw what it finds; Ctrl-C stops."""
    from edgesdk_agent.embedding import Pipeline
    from edgesdk_agent.pipeline_settings import apply_pipeline_settings
    from edgesdk_agent.vitals import VitalsReader
    from edgesdk_targets.errors import InputError

    if mode not in {None, "freshest", "every_frame"}:
        raise InputError(f"There is no mode {mode!r}.", hint="Use --mode freshest or --mode every_frame.")
    policy: Literal["freshest", "every_frame"] | None = mode  # type: ignore[assignment]
    timeline = _timeline_for(profile)
    apply_pipeline_settings()
    vitals = VitalsReader()
    with ExitStack() as stack:
        model = stack.enter_context(_loaded(bundle, target, variant, threads=threads, streams=streams, hint=hint))
        note_choice(model)
        sink = stack.enter_context(_Sink(save, show=show, port=port, quiet=json))
        pipeline = Pipeline(
            model,
            source,
            on_result=sink,
            policy=policy,
            keep_image=sink.draws,
            camera_name=_camera_name(source),
            profile=timeline,
        )
        sink.fps = pipeline.source_fps
        with _stopping(pipeline.request_stop, sink.stopped, duration):
            stats = _run_to_end(pipeline)
        sink.raise_error()
    if timeline is not None and profile is not None:
        from edgesdk.timeline.write import write_timeline

        write_timeline(timeline, profile, title=f"{bundle.name}, {model.variant.id}")
        note(f"timeline in {profile}")
    _report(stats, vitals, json=json, variant=model.variant.id)


def _loaded(
    bundle: Path, target: str | None, variant: str | None, *, threads: int, streams: int, hint: HintName | None
) -> Model:
    """Load the model as it is asked for: with so many threads and streams, or tuned for a hint.

    Raises:
        InputError: both are asked for, or more threads than this machine can have.
        EdgeError: as `edgesdk.load`.
    """
    from edgesdk.embedded_model import load
    from edgesdk_targets.errors import InputError
    from edgesdk_targets.session import SessionOptions
    from edgesdk_targets.tuning.check_cores import check_cores

    if hint is None:
        if warning := check_cores(threads, streams, "--threads {} --streams {}"):
            note(f"warning: {warning}")
        options = SessionOptions(threads=threads, streams=streams)
        return load(bundle, target=target, variant=variant, options=options, probe=True)
    if threads or streams > 1:
        raise InputError("A hint chooses threads and streams.", hint="Leave out --hint, or --threads and --streams.")
    with progress_line("tune") as say:
        say(f"for {hint.value}, unless it was done before")
        return load(bundle, hint=hint.value, target=target, variant=variant, probe=True)


def _timeline_for(profile: Path | None) -> Timeline | None:
    """Return what records the run, where that is wanted and can be written."""
    if profile is None:
        return None
    from edgesdk.timeline.write import check_timeline_path
    from edgesdk_agent.timeline.timeline import Timeline

    check_timeline_path(profile)
    return Timeline()


def _camera_name(source: str) -> str:
    """Name a file's results by the file; an address may hold a password and is never used."""
    path = Path(source)
    return path.stem if ":" not in source and path.exists() else "camera"


def _run_to_end(pipeline: Any) -> FrameStats:
    with pipeline:
        # A wait without a time-out would not let Ctrl-C through on every platform.
        while not pipeline.wait(0.5):
            pass
    stats: FrameStats = pipeline.stats()
    return stats


class _Sink:
    """Draw, show, save and print results, on the inference thread.

    The pipeline goes on whatever its callback raises, so what goes wrong here is kept, and ends the run.
    """

    def __init__(self, save: Path | None, *, show: bool, port: int, quiet: bool) -> None:
        self.draws = save is not None or show
        self.stopped = threading.Event()
        self.fps: float | None = None
        self._save, self._show, self._port = save, show, port
        self._out = None if quiet or self.draws else console()
        self._error: Exception | None = None
        self._preview: Any = None
        self._video: Any = None

    def __enter__(self) -> Self:
        if self._save is not None:
            from edgesdk.video_file import VideoFile

            self._video = VideoFile(self._save)
        if self._show:
            from edgesdk.preview import open_preview

            self._preview = open_preview("edgesdk", self._port)
            note(f"shown in {self._preview.where}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._preview is not None:
            self._preview.close()
        if self._video is not None:
            self._video.close()

    def __call__(self, frame: FrameResult) -> None:
        from edgesdk_targets.errors import EdgeError, NoSpace

        if self._error is not None:
            return
        try:
            self._take(frame)
        except EdgeError as error:
            self._stop(error)
        except OSError as error:
            full = error.errno == errno.ENOSPC
            self._stop(NoSpace("The disk is full.", hint="Free some space.") if full else error)
        except SystemExit:
            # The terminal library's way to say that the reader of our output went away.
            self._stop(BrokenPipeError())

    def _stop(self, error: Exception) -> None:
        self._error = error
        self.stopped.set()

    def raise_error(self) -> None:
        """Raise what ended the drawing, if anything did."""
        if self._error is not None:
            raise self._error

    def _take(self, frame: FrameResult) -> None:
        from edgesdk_agent.drawing import describe, draw_result

        if self._out is not None:
            text = ", ".join(describe(frame.result))
            self._out.print(f"{frame.seq:6d}  {frame.age_s * 1000:6.1f} ms  {text}", highlight=False, markup=False)
        if frame.image is None:
            return
        draw_result(frame.image, frame.result)
        if self._video is not None:
            self._video.fps = self.fps or self._video.fps
            self._video.write(frame.image)
        if self._preview is not None and not self._preview.show(frame.image):
            self.stopped.set()


@contextmanager
def _stopping(stop: Any, closed: threading.Event, duration: float | None) -> Iterator[None]:
    """Stop on SIGTERM, Ctrl-C, a closed window, or after the time, letting frames in flight finish."""
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if closed.wait(0.2):
                stop()
                return

    timer = threading.Timer(duration, stop) if duration else None
    previous = {s: signal.signal(s, lambda *_: stop()) for s in (signal.SIGTERM, signal.SIGINT)}
    watcher = threading.Thread(target=wait, name="edgesdk-window", daemon=True)
    watcher.start()
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        over.set()
        if timer:
            timer.cancel()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _report(stats: FrameStats, vitals: Any, *, json: bool, variant: str) -> None:
    from edgesdk_agent.summary import run_summary

    summary = run_summary(stats, vitals.read())
    if json:
        print_json({**summary, "variant": variant})
        return
    dropped = sum(stats.dropped.values())
    note(
        f"{stats.processed} of {stats.captured} frames, {stats.fps:.1f} fps, age p50 {stats.age.to_ms()['p50']} ms "
        f"p95 {stats.age.to_ms()['p95']} ms, {dropped} dropped"
    )
