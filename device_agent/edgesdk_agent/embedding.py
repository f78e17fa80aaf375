"""The pipeline for somebody's own application: a model, sources, a callback. It knows nothing of MQTT."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.several import open_cameras
from edgesdk_agent.cameras.source_options import SourceOptions, with_values
from edgesdk_agent.delivery.asked_frames import AskedElsewhere
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.pipeline.picture_stage import PictureStage
from edgesdk_agent.pipeline.pipeline import Pipeline as SlotPipeline
from edgesdk_agent.pipeline.policy import Policy, lanes_wanted, policies_for, slots_wanted
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.model import Model
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)

Source = str | Path | int | Camera
_NAMES = (str, Path, int)


class Pipeline(SlotPipeline):
    """Run a model on one source or several, and give each result to a callback.

        with edgesdk.Pipeline(edgesdk.load("m.edgebundle"), "rtsp://…", on_result=print) as pipeline:
            pipeline.wait()

        for result in edgesdk.Pipeline(model, "video.mp4"):
            print(result)

        async for result in edgesdk.Pipeline(model, {"door": 0, "gate": "rtsp://…"}):
            print(result.camera, result)

    The model stays the caller's. One whose frames stand alone may serve several pipelines; one that goes from frame to
    frame (recurrent, or on clips) as well, if their cameras have different names. Several sources share it fairly: one session,
    whatever their number, and a recurrent model keeps a state for each. One that fails is told and counted, and the
    others go on; a live camera among several that does not answer at the start is tried again meanwhile.

    Args:
        model: from `edgesdk.load`, or an `edgesdk.Chain`. Loaded with `options=SessionOptions(threads=1, streams=n)` it
            infers `n` frames at the same time where its runtime can, which gives the highest rate; results stay in order.
        source: a path, an address, a camera's number (see `SOURCE_FORMS`), or an opened camera; or several by name.
        on_result: is given a `FrameResult` for each frame, each camera's in order, one at a time. A callable runs on
            the inference thread and holds it up; a delivery hands results to a thread or a process. Without it they are
            taken in a loop.
        queue: without `on_result`, how many results wait for the loop; see `edgesdk_agent.pipeline.Pipeline`.
        camera_name: stands in every result of a source that is given alone.
        policy: `freshest` (a live camera's default) or `every_frame` (a file's), for all sources or by name.
        keep_image: give each result its picture, valid during the callback.
        on_error: is given the error that ended the pipeline; without it `wait` and `stop` raise it.
        on_camera_error: is given the name and the error of each source that fails.
        on_frame: is asked what the model is to see of each frame: a picture, or None to leave the frame out. It runs on
            the preprocessing thread.
        stage_timeout_s: a call of `on_frame` that takes longer is told as hung, and its camera left out until it returns; more
            than the longest that a frame may take, a first one that loads something included.
        picture_stages: by camera, what is done with each picture on the capture thread, before anything else sees it.
        profile: records where each frame's time goes.
        source_options: fields of `SourceOptions`, such as `fps=10` or `loop=True`, for all sources.

    Attributes:
        on_model: is told of each model that takes over, before its first frame; it must not raise.

    Raises:
        InputError: a source, a policy or an option is unknown, there is no source, or no loaded model.
        CameraLost: no camera answers, or one that is no live camera cannot be read.
    """

    def __init__(
        self,
        model: Model | Chain,
        source: Source | Mapping[str, Source],
        *,
        on_result: Callable[[FrameResult], object] | Delivery | None = None,
        queue: int = 4,
        camera_name: str = "camera",
        policy: Policy | Mapping[str, Policy] | None = None,
        keep_image: bool = False,
        on_error: Callable[[EdgeError], None] | None = None,
        on_camera_error: Callable[[str, EdgeError], None] | None = None,
        on_frame: Callable[[Frame], Array | None] | FrameFilter | AskedElsewhere | None = None,
        stage_timeout_s: float = USUAL_TIMEOUT_S,
        picture_stages: Mapping[str, Sequence[PictureStage]] | None = None,
        profile: Timeline | None = None,
        **source_options: Any,
    ) -> None:
        _check_loaded(model)
        named = source if isinstance(source, Mapping) else {camera_name: source}
        options = with_values(SourceOptions(), source_options)
        with ExitStack() as undo:
            given = {name: _camera(one) for name, one in named.items() if not isinstance(one, _NAMES)}
            opened = open_cameras(
                {name: partial(_opened, str(one), options) for name, one in named.items() if name not in given},
                beside_others=bool(given),
            )
            _tell_batches(model)
            cameras = {name: given.get(name) or opened[name] for name in named}
            for camera in cameras.values():
                undo.callback(camera.close)
            # Frames a second of the first source, or None where it is not known.
            self.source_fps = next((camera.info.fps for camera in cameras.values()), None)
            policies = policies_for(cameras, policy)
            lanes = _lanes_wanted(tuple(policies.values()), model)
            super().__init__(
                model.slots(slots_wanted(tuple(policies.values()), lanes)),
                cameras,
                on_result=on_result,
                queue=queue,
                policy=policies,
                lanes=lanes,
                keep_image=keep_image,
                on_error=on_error,
                on_camera_error=on_camera_error,
                on_frame=on_frame,
                stage_timeout_s=stage_timeout_s,
                picture_stages=picture_stages,
                profile=profile,
            )
            undo.pop_all()
        self.on_model: Callable[[Model | Chain], None] | None = None
        # The model, and one that it replaced until that has done its last frame.
        self._fed: tuple[Model | Chain, ...] = (model,)
        self._feeding = False

    def start(self) -> Self:
        """Start the threads; a pipeline runs once.

        Raises:
            InputError: it was started before, or another pipeline feeds the model a camera of the same name, whose frames
                a model that goes from frame to frame would take for this one's.
            EdgeError: whoever takes the results cannot.
        """
        if self.started:
            return super().start()
        try:
            self._fed[-1].claim_streams(self, self.policies)
        except InputError:
            # It will never run, and its cameras are its own to close.
            self.request_stop()
            raise
        self._feeding = True
        try:
            return super().start()
        except BaseException:
            if not self._crew.started:
                self._inference_over()
            raise

    def swap(self, model: Model | Chain, timeout_s: float = 30.0) -> None:
        """Let another model take over between two frames, losing none; then the old model may be closed.

        Raises:
            InputError: another pipeline feeds the model a camera of the same name, see `start`; it is no loaded model; or a
                callback of the pipeline asks, which would wait for itself.
            SessionFailed: the old model does not finish its last frame within the time.
        """
        # Before anybody is told of a model that does not come.
        self._own_threads.refuse_swap()
        _check_loaded(model)
        _tell_batches(model)
        policies = tuple(self.policies.values())
        lanes = _lanes_wanted(policies, model)
        slots = model.slots(slots_wanted(policies, lanes))
        if self._feeding:
            model.claim_streams(self, self.policies)
        before, self._fed = self._fed, (*self._fed, model)
        if not self._feeding:
            # The end came in between, perhaps before it could know of this model.
            model.release_streams(self)
        if self.on_model is not None:
            self.on_model(model)
        self.swap_slots(slots, timeout_s, lanes=lanes)
        self._fed = (model,)
        for old in before:
            if old is not model:
                old.release_streams(self)

    swap_model = swap

    def _inference_over(self) -> None:
        self._feeding = False
        for model in self._fed:
            model.release_streams(self)


def _check_loaded(model: object) -> None:
    if not callable(getattr(model, "slots", None)):
        hint = "Give what `edgesdk.load` returns, or an `edgesdk.Chain`."
        raise InputError(f"{model!r} is no loaded model.", hint=hint)


def _tell_batches(model: Model | Chain) -> None:
    for one in (model.detector, model.then) if isinstance(model, Chain) else (model,):
        batch = getattr(one, "batch", 1)
        if batch > 1:
            log.warning(
                "%s takes %d pictures an inference, and a pipeline gives it one: each frame costs as much as %d. "
                "Convert it without --batch for cameras.",
                one.manifest.name, batch, batch,
            )  # fmt: skip


def _lanes_wanted(policies: Sequence[Policy], model: Model | Chain) -> int:
    return lanes_wanted(policies, model.lanes, on_caller=model.on_caller, starts_ahead=model.starts_ahead)


def _camera(source: object) -> Camera:
    if not all(hasattr(source, name) for name in ("info", "read", "close")):
        hint = "A source is a path, an address or a camera's number, an opened camera, or several of these by name."
        raise InputError(f"{source!r} is no source.", hint=hint)
    return cast("Camera", source)


def _opened(source: str, options: SourceOptions, must_open: bool) -> Camera:
    return open_camera(source, replace(options, must_open=must_open))
