"""The process of one model in a shadow run: it answers frames that lie in shared memory, and says how its answers differ.

What it says are numbers. No picture leaves it, nor any answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.delivery.child_loop import python_command, serve
from edgesdk_agent.delivery.frame_encoding import FrameDecoder
from edgesdk_agent.delivery.picture_memory import SharedView
from edgesdk_agent.shadow.agreement import Agreement, Difference
from edgesdk_agent.shadow.scenes import Scenes
from edgesdk_targets.child_watch import own_bytes
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import load_model
from edgesdk_targets.session import Session, SessionOptions, is_accelerated

_PREPARE = "from edgesdk_agent.shadow.quiet import stand_back; stand_back(); "


def main() -> None:
    """Run with the arguments: bundle, target, variant, seconds between scenes, files of the line and of the picture."""
    bundle, target, variant, apart_s, line, picture = sys.argv[1:]

    def begin() -> Callable[[bytes], bytes]:
        model = load_model(
            Path(bundle), target=target or None, variant=variant or None, options=SessionOptions(threads=1)
        )
        view = SharedView(int(picture))
        decoder = FrameDecoder(lambda at: view.picture(at[1], at[2]))
        agreement, scenes = Agreement(model.manifest.postprocess.score_threshold), Scenes(float(apart_s))
        clock = clock_of(model.session)

        def answer(message: bytes) -> bytes:
            frame = decoder.decode_result(message)
            assert frame.image is not None  # noqa: S101  (only frames with a picture are sent)
            began = clock()
            try:
                result = model.feed(frame.image, camera=frame.camera)
            except EdgeError as error:
                return json.dumps({"failed": error.message}).encode()
            took = clock() - began
            found = Difference(None) if result is None else agreement.difference(frame.result, result)
            said = {
                "begins": scenes.begins(frame.camera, frame.captured_at, frame.image), "whole": found.whole,
                "classes": dict(found.classes), "took_s": took, "memory": own_bytes(os.getpid()),
            }  # fmt: skip
            return json.dumps(said).encode()

        return answer

    serve(int(line), begin)


def clock_of(session: Session) -> Callable[[], float]:
    """Return what tells how long it takes: the processor's time, whoever else runs; of an accelerator only the clock knows."""
    return time.perf_counter if is_accelerated(session) else time.process_time


def command(bundle: Path, target: str, variant: str, apart_s: float, line: int, picture: int) -> list[str]:
    """Return the command that starts this process."""
    words = [str(bundle.absolute()), target, variant, str(apart_s), str(line), str(picture)]
    return python_command(_PREPARE, __name__, *words)
