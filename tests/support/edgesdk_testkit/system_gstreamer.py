"""The system's GStreamer, through the system's own Python: what virtual environments do not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SYSTEM_PYTHON = "/usr/bin/python3"
_SUPPORT = str(Path(__file__).resolve().parent.parent)


def missing_elements(*names: str) -> str | None:
    """Return what is missing, in words, for these GStreamer elements and the RTSP server; None where all is there."""
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, "-m", __name__, "elements", *names],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
    except OSError:
        return f"{SYSTEM_PYTHON} is missing"
    if done.returncode:
        return "GStreamer's RTSP server is not installed (Debian gir1.2-gst-rtsp-server-1.0)"
    absent = done.stdout.split()
    return f"GStreamer has no {', '.join(absent)} (Debian gstreamer1.0-plugins-good, -bad, -ugly)" if absent else None


def run_pipeline(text: str, *, pictures: int = 0, timeout_s: float = 60.0) -> None:
    """Run a pipeline, in `gst-launch` syntax, until its end, or until `pictures` have passed its element `limit`.

    Raises:
        RuntimeError: it failed; with what GStreamer says.
    """
    done = subprocess.run(
        [SYSTEM_PYTHON, "-m", __name__, "run", text, str(pictures)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=timeout_s,
    )
    if done.returncode:
        raise RuntimeError(f"GStreamer could not run {text!r}: {done.stderr.strip()[-500:]}")


def environment() -> dict[str, str]:
    """Return the environment in which the system's Python finds this package."""
    return {**os.environ, "PYTHONPATH": _SUPPORT}


def _main(task: str, *arguments: str) -> int:
    import gi  # type: ignore[import-not-found]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: F401

    Gst.init(None)
    if task == "elements":
        sys.stdout.write(" ".join(name for name in arguments if Gst.ElementFactory.find(name) is None))
        return 0
    pipeline, pictures = Gst.parse_launch(arguments[0]), int(arguments[1])
    if pictures:
        passed = iter(range(pictures))

        def limited(pad: Any, _: Any) -> Any:
            if next(passed, None) is not None:
                return Gst.PadProbeReturn.OK
            pad.push_event(Gst.Event.new_eos())
            return Gst.PadProbeReturn.DROP

        pipeline.get_by_name("limit").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, limited)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.stderr.write(str(message.parse_error()))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(*sys.argv[1:]))
