"""What the process of a stage answers: the first byte says what the user's function returned.

n            nothing: the frame is left out, the result kept back
w │ text     something that it may not; the text says what
y │ rest     a picture, whose shape is the rest (JSON), or a result, encoded; the picture of both lies in the shared memory
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgesdk_agent.delivery.frame_encoding import FrameDecoder, FrameEncoder
from edgesdk_agent.delivery.hook_errors import HookKeptBack, HookRaised
from edgesdk_agent.delivery.picture_memory import SharedView
from edgesdk_agent.delivery.stage_returns import PICTURE_FROM_NOWHERE, is_picture, no_picture, no_result
from edgesdk_agent.frame import FrameResult

_NOTHING, _WRONG, _THIS = b"n", b"w", b"y"

Answer = Callable[[bytes], bytes]


def returned(answer: bytes) -> bytes:
    """Return what an answer holds of a picture or a result.

    Raises:
        HookKeptBack: the function returned nothing; HookRaised: something that it may not.
    """
    kind, rest = answer[:1], answer[1:]
    if kind == _NOTHING:
        raise HookKeptBack
    if kind == _WRONG:
        raise HookRaised(rest.decode("utf-8", "replace"))
    return rest


def frame_answers(function: Callable[..., Any], decoder: FrameDecoder, views: Sequence[SharedView]) -> Answer:
    """Return what answers a frame by the picture that the function makes of it."""

    def answer(message: bytes) -> bytes:
        frame = decoder.decode(message)
        picture = function(frame)
        if picture is None:
            return _NOTHING
        if not is_picture(picture):
            return _WRONG + no_picture(picture).encode()
        assert decoder.memory is not None  # noqa: S101  (a frame has a picture)
        views[decoder.memory].put(picture, frame.image)
        return _THIS + json.dumps(picture.shape).encode()

    return answer


def result_answers(function: Callable[..., Any], decoder: FrameDecoder, views: Sequence[SharedView]) -> Answer:
    """Return what answers a result by the one that the function makes of it."""
    encoder = FrameEncoder()

    def answer(message: bytes) -> bytes:
        given = decoder.decode(message)
        told = function(given)
        if told is None:
            return _NOTHING
        if not isinstance(told, FrameResult):
            return _WRONG + no_result(told).encode()
        if told.image is not None:
            if decoder.memory is None:
                return _WRONG + PICTURE_FROM_NOWHERE.encode()
            views[decoder.memory].put(told.image, given.image)
        return _THIS + encoder.encode(told, decoder.memory)

    return answer


STAGES: Mapping[str, Callable[[Callable[..., Any], FrameDecoder, Sequence[SharedView]], Answer]] = {
    "on_frame": frame_answers,
    "on_result": result_answers,
}
