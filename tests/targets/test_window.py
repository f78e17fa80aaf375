from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.window import StreamWindows, WindowSpec, check_window, panned_clip


def spec_of(shape: tuple[int, ...], layout: str = "NCHW") -> TensorSpec:
    return TensorSpec.model_validate({"name": "clip", "shape": shape, "layout": layout})


CLIP = spec_of((1, 3, 1, 1, 2))


class Stream:
    """Pushes frames whose pixels are their own numbers, and returns the clips that the model would be asked about."""

    def __init__(self, windows: StreamWindows, clip: TensorSpec = CLIP) -> None:
        self.windows, self.clip = windows, clip.empty()

    def see(self, camera: str, seq: int, value: float | None = None) -> list[int] | None:
        value = seq if value is None else value
        if not self.windows.push(camera, seq, np.full((1, 1, 1, 2), value, np.float32)):
            return None
        self.windows.write(camera, self.clip)
        return [int(v) for v in self.clip[0, :, 0, 0, 0]]


def stream(**fields: object) -> Stream:
    return Stream(StreamWindows(WindowSpec.model_validate({"frames": 3, **fields}), CLIP))


def test_a_clip_is_the_last_frames_oldest_first() -> None:
    one = stream()
    assert [one.see("a", seq) for seq in range(5)] == [None, None, [0, 1, 2], [1, 2, 3], [2, 3, 4]]


@pytest.mark.parametrize(("stride", "asked"), [(1, [2, 3, 4, 5, 6, 7]), (2, [2, 4, 6]), (3, [2, 5]), (5, [2, 7])])
def test_it_is_asked_once_a_stride(stride: int, asked: list[int]) -> None:
    one = stream(stride=stride)
    assert [seq for seq in range(8) if one.see("a", seq) is not None] == asked


def test_a_gap_begins_anew() -> None:
    one = stream()
    assert [one.see("a", seq) for seq in (0, 1, 3, 4, 5, 6)] == [None, None, None, None, [3, 4, 5], [4, 5, 6]]


def test_without_the_rule_frames_on_both_sides_of_a_gap_are_one_clip() -> None:
    """Negative control of the test above."""
    one = stream(reset=("camera_change",))
    assert [one.see("a", seq) for seq in (0, 1, 3, 4)] == [None, None, [0, 1, 3], [1, 3, 4]]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (range(0, 60, 2), True),  # every other frame, for ever
        ([seq for seq in range(60) if seq % 3 != 2], True),
        ([seq for seq in range(60) if seq % 4 != 3], False),  # each gap comes after a full clip
        ([0, 2, 4, *range(5, 60)], False),  # a bad beginning only
        (range(60), False),
    ],
)
def test_gaps_that_leave_no_clip_whole_are_told_once(
    seen: list[int], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one = stream()
    with caplog.at_level(logging.WARNING):
        clips = [one.see("door", seq) for seq in seen]
    assert any(clips) is not told
    assert len(caplog.messages) == told
    if told:
        assert caplog.messages[0].startswith("door gives no results: 3 frames were missing, and 3 clips in a row")
        assert "every_frame" in caplog.messages[0]


def test_cameras_do_not_mix() -> None:
    one = stream()
    seen = [one.see(camera, seq, 10 * (camera == "b") + seq) for seq in range(3) for camera in "ab"]
    assert seen == [None] * 4 + [[0, 1, 2], [10, 11, 12]]


def test_without_the_rule_they_do() -> None:
    """Negative control of the test above."""
    one = stream(reset=("gap",))
    seen = [one.see(camera, seq, 10 * (camera == "b") + seq) for seq in range(2) for camera in "ab"]
    assert seen == [None, None, [0, 10, 1], [10, 1, 11]]


@pytest.mark.parametrize("camera", ["a", None])
def test_forgetting(camera: str | None) -> None:
    one = stream()
    for seq in range(2):
        one.see("a", seq)
        one.see("b", seq)
    one.windows.reset(camera)
    assert one.see("a", 2) is None
    assert one.see("b", 2) == (None if camera is None else [0, 1, 2])


@pytest.mark.parametrize(
    ("shape", "axis", "layout", "frame"),
    [
        ((1, 4, 3, 6, 8), 1, "NCHW", (1, 3, 6, 8)),
        ((1, 3, 4, 6, 8), 2, "NCHW", (1, 3, 6, 8)),
        ((1, 4, 6, 8, 3), 1, "NHWC", (1, 6, 8, 3)),
    ],
)
def test_every_order_of_axes(shape: tuple[int, ...], axis: int, layout: str, frame: tuple[int, ...]) -> None:
    clip, window = spec_of(shape, layout), WindowSpec(frames=4, axis=axis)
    assert window.frame_of(clip).shape == frame
    windows = StreamWindows(window, clip)
    frames = [np.random.default_rng(i).normal(size=frame).astype(np.float32) for i in range(6)]
    written: list[Array] = []
    for seq, one in enumerate(frames):
        if windows.push("a", seq, one):
            written.append(clip.empty())
            windows.write("a", written[-1])
    for first, got in enumerate(written):
        np.testing.assert_array_equal(got, np.stack(frames[first : first + 4], axis))
        np.testing.assert_array_equal(got, window.clip_of(frames[first : first + 4]))


def test_nothing_is_allocated_for_a_known_camera() -> None:
    clip = spec_of((1, 4, 1, 200, 200))
    windows, out = StreamWindows(WindowSpec(frames=4), clip), clip.empty()
    frame = np.zeros((1, 1, 200, 200), np.float32)
    for seq in range(4):
        windows.push("a", seq, frame)
    windows.write("a", out)
    tracemalloc.start()
    try:
        for seq in range(4, 20):
            windows.push("a", seq, frame)
            windows.write("a", out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < frame.nbytes / 10


@pytest.mark.parametrize(
    "fields", [{"frames": 1}, {"frames": 3, "stride": 0}, {"frames": 3, "axis": 0}, {"frames": 3, "step": 1}]
)
def test_wrong_windows_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        WindowSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("shape", "alone", "picture", "says"),
    [
        ((1, 3, 6, 8), True, True, "five dimensions"),
        ((1, 4, 3, 6, 8), True, True, "3 frames on axis 1"),
        ((1, 3, 3, 6, 8), False, True, "recurrent"),
        ((1, 3, 3, 6, 8), True, False, "preprocess"),
    ],
)
def test_what_does_not_belong_together(shape: tuple[int, ...], alone: bool, picture: bool, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_window(WindowSpec(frames=3), spec_of(shape), alone=alone, picture=picture)


def test_a_clip_made_of_one_picture_moves() -> None:
    image = np.arange(4 * 80 * 3, dtype=np.uint8).reshape(4, 80, 3)
    first, second, third = panned_clip(image, 3)
    np.testing.assert_array_equal(first, image)
    np.testing.assert_array_equal(second[:, :-2], image[:, 2:])
    np.testing.assert_array_equal(third[:, :-2], second[:, 2:])
