"""What the process of a stage answers: the first byte says what the user's function returned.

n            nothing: the frame is left out, the result kept back
w │ text     something that is neither; the text says what
y │ rest     a picture, whose shape is the rest (JSON), or a result, encoded; the picture of both lies in the shared memory
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgesdk_agent.delivery.frame_encoding import FrameDecoder, FrameEncoder
from edgesdk_agent.delivery.picture_check import is_picture, shown
from edgesdk_agent.delivery.picture_memory import SharedView
from edgesdk_agent.frame import FrameResult

NOTHING, WRONG, THIS = b"n", b"w", b"y"

Answer = Callable[[bytes], bytes]


def frame_answers(function: Callable[..., Any], decoder: FrameDecoder, views: Sequence[SharedView]) -> Answer:
    """Return what answers a frame by the picture that the function makes of it."""

    def answer(message: bytes) -> bytes:
        frame = decoder.decode(message)
        picture = function(frame)
        if picture is None:
            return NOTHING
        if not is_picture(picture):
            return WRONG + shown(picture).encode()
        assert decoder.memory is not None  # noqa: S101  (a frame has a picture)
        views[decoder.memory].put(picture, frame.image)
        return THIS + json.dumps(picture.shape).encode()

    return answer


def result_answers(function: Callable[..., Any], decoder: FrameDecoder, views: Sequence[SharedView]) -> Answer:
    """Return what answers a result by the one that the function makes of it."""
    encoder = FrameEncoder()

    def answer(message: bytes) -> bytes:
        given = decoder.decode(message)
        told = function(given)
        if told is None:
            return NOTHING
        if not isinstance(told, FrameResult):
            return WRONG + shown(told).encode()
        if told.image is not None:
            if decoder.memory is None:
                return WRONG + b"a FrameResult with a picture, where it was given none"
            views[decoder.memory].put(told.image, given.image)
        return THIS + encoder.encode(told, decoder.memory)

    return answer


STAGES: Mapping[str, Callable[[Callable[..., Any], FrameDecoder, Sequence[SharedView]], Answer]] = {
    "on_frame": frame_answers,
    "on_result": result_answers,
}
