"""The hand-off to a shadow run: one frame, when it is asked for; the pipeline waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.shadow.next_frame import NextFrame, ShadowedDelivery
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array

DIGEST = "sha256:" + "a" * 64


def result(seq: int, image: Array | None = None, digest: str = DIGEST) -> FrameResult:
    return FrameResult("gate", seq, 1.0, 2.0, 0.1, 0.01, 0.02, Text(str(seq), 1.0), image, digest)


def picture(value: int) -> Array:
    return np.full((4, 6, 3), value, np.uint8)


@pytest.fixture
def frames() -> Iterator[NextFrame]:
    one = NextFrame()
    one.open()
    yield one
    one.no_longer()


def test_nothing_is_copied_unless_it_is_wanted(frames: NextFrame) -> None:
    frames.offer(result(1, picture(1)))
    assert frames.take(0.0) is None
    frames.want(DIGEST, 0)
    lent = picture(2)
    frames.offer(result(2, lent))
    lent[:] = 9  # the camera's memory is used again
    frames.offer(result(3, picture(3)))
    taken = frames.take(0.0)
    assert taken is not None
    assert (taken.seq, int(taken.image.max()) if taken.image is not None else 0) == (2, 2)


def test_what_another_bundle_answered_has_no_picture_or_comes_too_early_is_left_out(frames: NextFrame) -> None:
    frames.want(DIGEST, 2)
    frames.offer(result(0, picture(1), "sha256:" + "b" * 64))
    frames.offer(result(1))
    for seq in (2, 3):
        frames.offer(result(seq, picture(1)))
        assert frames.take(0.0) is None
    frames.offer(result(4, picture(1)))
    taken = frames.take(0.0)
    assert taken is not None
    assert taken.seq == 4


def test_nobody_who_asked_holds_the_pipeline(frames: NextFrame) -> None:
    """It asks, and then never comes: results pass, and the newest wish counts."""
    frames.want(DIGEST, 0)
    got: list[FrameResult] = []
    delivery = ShadowedDelivery(frames, InlineDelivery(got.append), pictures=False)
    done = threading.Thread(target=lambda: [delivery(result(seq, picture(seq))) for seq in range(200)])
    done.start()
    done.join(30.0)
    assert not done.is_alive()
    # Kept for the shadow run alone, a picture is nobody else's.
    assert [(one.seq, one.image) for one in got] == [(seq, None) for seq in range(200)]


def test_after_the_end_nothing_is_taken(frames: NextFrame) -> None:
    frames.want(DIGEST, 0)
    frames.no_longer()
    frames.offer(result(1, picture(1)))
    assert frames.take(0.0) is None


def test_hooks_that_have_pictures_keep_them(frames: NextFrame) -> None:
    got: list[FrameResult] = []
    delivery = ShadowedDelivery(frames, InlineDelivery(got.append), pictures=True)
    delivery(result(1, picture(1)))
    assert got[0].image is not None
