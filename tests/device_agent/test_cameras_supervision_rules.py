"""The rules of supervision, with a clock of their own: what is frozen, slow and silent at which rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.cameras.supervision import frozen_picture
from edgesdk_agent.cameras.supervision.frozen_picture import FrozenPicture, lines_digest, whole_digest
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.rate_watch import RateWatch
from edgesdk_agent.cameras.supervision.still_scene import StillScene
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


def first_frozen(pictures: list[Array], fps: float, after_s: float) -> int | None:
    frozen = FrozenPicture()
    return next((i for i, picture in enumerate(pictures) if frozen.see(picture, i / fps, after_s)), None)


class TestFrozen:
    @pytest.mark.parametrize("fps", [1.0, 15.0, 60.0])
    def test_it_is_found_after_its_time_and_not_before(self, fps: float) -> None:
        after_s = 10.0
        found = first_frozen([PICTURE] * int(fps * 30), fps, after_s)
        assert found is not None
        # A picture late at most for each of its two halves.
        assert after_s <= found / fps <= after_s + 2 / fps

    def test_a_scene_with_noise_is_never_frozen(self) -> None:
        noise = np.random.default_rng(1)
        pictures = []
        for _ in range(300):
            picture = PICTURE.copy()
            picture[noise.integers(120), noise.integers(160), 0] ^= 1
            pictures.append(picture)
        assert first_frozen(pictures, 15.0, 2.0) is None

    def test_what_moves_between_the_lines_is_seen_before_it_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pictures = []
        for number in range(300):
            picture = PICTURE.copy()
            picture[0, 0, 0] = number % 251  # no line of the cheap digest
            pictures.append(picture)
        assert lines_digest(pictures[0]) == lines_digest(pictures[1])
        assert first_frozen(pictures, 15.0, 4.0) is None
        # The control: the cheap lines alone would call it frozen.
        monkeypatch.setattr(frozen_picture, "whole_digest", lines_digest)
        assert first_frozen(pictures, 15.0, 4.0) is not None

    @given(st.integers(1, 70), st.integers(1, 70))
    def test_any_size_has_a_digest(self, height: int, width: int) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        other = picture.copy()
        other[-1, -1, -1] ^= 255
        assert whole_digest(picture) != whole_digest(other)
        assert whole_digest(np.asfortranarray(picture)[:, :, :]) is not None
        assert isinstance(lines_digest(picture), int)

    def test_a_scene_that_stays_still_is_opened_again_ever_more_seldom(self) -> None:
        still = StillScene()
        tries = [at for at in range(10_000) if still.try_again(float(at), 30.0)]
        assert tries == [0, 60, 180, 420, 900, 1860, 3780, 7380]

    def test_after_a_real_recovery_it_is_opened_at_once(self) -> None:
        still = StillScene()
        assert still.try_again(0.0, 30.0)
        still.moves(10.0)
        assert not still.try_again(50.0, 30.0), "it moved for a moment only"
        still.moves(300.0)
        assert still.try_again(331.0, 30.0)


def rates(watch: RateWatch, spans: list[tuple[float, float]], busy: float = 0.0) -> list[bool]:
    """Feed spans of (fps, seconds), and return whether the camera was slow at the end of each."""
    at, slow = 0.0, []
    for fps, seconds in spans:
        for _ in range(int(fps * seconds)):
            at += 1 / fps
            watch.picture(at, (1 - busy) / fps)
        slow.append(watch.slow)
    return slow


class TestRate:
    def watch(self, configured: float | None = None) -> RateWatch:
        limits = SupervisionLimits()
        return RateWatch(configured, limits.slow_below, limits.rate_window_s)

    def test_well_under_the_configured_rate_is_slow_and_back_is_well(self) -> None:
        watch = self.watch(15.0)
        assert rates(watch, [(15, 20), (9, 20), (5, 20), (8, 20), (15, 20)]) == [False, False, True, True, False]
        assert watch.expected == 15.0

    def test_the_measured_rate_is_expected_where_none_is_configured(self) -> None:
        watch = self.watch()
        assert rates(watch, [(15, 20), (5, 20)]) == [False, True]
        assert watch.expected == pytest.approx(15, rel=0.05)

    def test_a_camera_that_was_set_to_another_rate_is_followed(self) -> None:
        watch = self.watch()
        assert rates(watch, [(15, 20), (5, 20), (5, 80), (25, 20)]) == [False, True, False, False]
        assert watch.expected == pytest.approx(25, rel=0.05)
        # A span that lies across a change may count as a step of its own.
        assert watch.changes in {2, 3}

    def test_a_reader_that_comes_late_is_not_the_cameras_fault(self) -> None:
        assert rates(self.watch(15.0), [(5, 60)], busy=0.9) == [False]
        assert rates(self.watch(15.0), [(5, 60)]) == [True]

    def test_one_frame_a_second_is_a_rate_like_any_other(self) -> None:
        assert rates(self.watch(1.0), [(1, 120)]) == [False]

    def test_off_is_off(self) -> None:
        limits = SupervisionLimits(slow_below=0.0)
        assert rates(RateWatch(15.0, limits.slow_below, limits.rate_window_s), [(1, 120)]) == [False]


class TestLimits:
    def test_they_follow_the_rate(self) -> None:
        limits = SupervisionLimits()
        assert (limits.silent_s(15.0), limits.silent_s(1.0), limits.silent_s(0.1)) == (5.0, 5.0, 50.0)
        assert (limits.frozen_s(15.0), limits.frozen_s(0.1)) == (60.0, 100.0)
        assert limits.silent_s(None) == 5.0
        assert SupervisionLimits(frozen_after_s=0).frozen_s(15.0) == math.inf

    @pytest.mark.parametrize(
        "wrong",
        [
            {"silent_after_s": 0.0},
            {"silent_after_s": math.nan},
            {"retry_most_s": math.inf},
            {"frozen_after_s": -1.0},
            {"frozen_after_s": math.nan},
            {"slow_below": 1.0},
            {"attempts": -1},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(InputError):
            SupervisionLimits(**wrong)  # type: ignore[arg-type]
