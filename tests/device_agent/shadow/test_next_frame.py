"""The hand-off to a shadow run: one frame, when it is asked for; the pipeline waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.shadow.next_frame import NextFrame, RunFrames, ShadowedDelivery
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array

DIGEST = "sha256:" + "a" * 64


def result(seq: int, image: Array | None = None, digest: str = DIGEST) -> FrameResult:
    return FrameResult("gate", seq, 1.0, 2.0, 0.1, 0.01, 0.02, Text(str(seq), 1.0), image, digest)


def picture(value: int) -> Array:
    return np.full((4, 6, 3), value, np.uint8)


@pytest.fixture
def shown() -> NextFrame:
    return NextFrame()


@pytest.fixture
def frames(shown: NextFrame) -> Iterator[RunFrames]:
    one = shown.begin()
    one.open()
    yield one
    one.close()


def test_nothing_is_copied_unless_it_is_wanted(frames: RunFrames) -> None:
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


def test_what_another_bundle_answered_has_no_picture_or_comes_too_early_is_left_out(frames: RunFrames) -> None:
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


def test_nobody_who_asked_holds_the_pipeline(shown: NextFrame, frames: RunFrames) -> None:
    """It asks, and then never comes: results pass, and the newest wish counts."""
    frames.want(DIGEST, 0)
    got: list[FrameResult] = []
    delivery = ShadowedDelivery(shown, InlineDelivery(got.append), pictures=False)
    done = threading.Thread(target=lambda: [delivery(result(seq, picture(seq))) for seq in range(200)])
    done.start()
    done.join(30.0)
    assert not done.is_alive()
    # Kept for the shadow run alone, a picture is nobody else's.
    assert [(one.seq, one.image) for one in got] == [(seq, None) for seq in range(200)]


def test_after_the_end_nothing_is_taken(frames: RunFrames) -> None:
    frames.want(DIGEST, 0)
    frames.close()
    frames.offer(result(1, picture(1)))
    assert frames.take(0.0) is None


def test_hooks_that_have_pictures_keep_them(shown: NextFrame) -> None:
    got: list[FrameResult] = []
    delivery = ShadowedDelivery(shown, InlineDelivery(got.append), pictures=True)
    delivery(result(1, picture(1)))
    assert got[0].image is not None


def test_an_old_run_that_ends_late_takes_nothing_from_the_new_one(shown: NextFrame, frames: RunFrames) -> None:
    """Aborted and installed again while its first model still loads."""
    new = shown.begin()
    new.open()
    frames.close()
    new.want(DIGEST, 0)
    frames.want("sha256:" + "b" * 64, 7)
    ShadowedDelivery(shown, InlineDelivery(lambda _: None), pictures=False)(result(1, picture(3)))
    taken = new.take(0.0)
    assert taken is not None
    assert (taken.seq, frames.take(0.0)) == (1, None)
    new.close()


def test_without_memory_for_a_picture_the_pipeline_runs_on(
    shown: NextFrame, frames: RunFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(_: SharedPicture, __: Array) -> Array:
        raise OSError(28, "No space left on device")

    got: list[FrameResult] = []
    delivery = ShadowedDelivery(shown, InlineDelivery(got.append), pictures=False)
    frames.want(DIGEST, 0)
    with monkeypatch.context() as changed:
        changed.setattr(SharedPicture, "hold", hold)
        delivery(result(1, picture(1)))
        delivery(result(2, picture(1)))
    assert ([one.seq for one in got], frames.take(60.0)) == ([1, 2], None)
    assert "No space left" in frames.problem
    frames.want(DIGEST, 0)
    delivery(result(3, picture(1)))
    assert (frames.problem, frames.take(0.0) is None) == ("", False)
