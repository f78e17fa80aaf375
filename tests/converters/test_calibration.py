"""Calibration pictures come from anything, without the broken and the repeated ones, and are chosen to differ."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_converters.calibration import video_frames
from edgesdk_converters.calibration.calibration_set import open_calibration, overlap
from edgesdk_converters.calibration.k_centre import k_centre
from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

SIZE = (48, 64)


def _folder(place: Path, count: int, *, first: int = 0) -> Path:
    (place / "inner").mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        cv2.imwrite(str(place / ("inner" if seed % 2 else "") / f"{seed:03}.png"), draw_picture(SIZE, seed))
    return place


def _video(place: Path, frames: Iterator[Array]) -> Path:
    writer = cv2.VideoWriter(str(place), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE[::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return place


def _cover_radius(features: Array, chosen: list[int]) -> float:
    """Return the largest distance from any row to its nearest chosen one."""
    return max(float(np.linalg.norm(features[chosen] - row, axis=1).min()) for row in features)


def _pixels(pictures: object) -> list[bytes]:
    return [picture.tobytes() for picture in pictures]  # type: ignore[attr-defined]


# --- what is chosen -----------------------------------------------------------------------------------------------


def test_a_choice_covers_what_a_shuffled_one_does_not() -> None:
    """Ten tight clusters: the choice by features meets all of them; by shuffled features (the control) it does not."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(10), [200, *[8] * 9])
    features = (rng.normal(0, 10, (10, 32))[clusters] + rng.normal(0, 0.1, (len(clusters), 32))).astype(np.float32)
    chosen = k_centre(features, 10)
    assert set(clusters[chosen]) == set(range(10))
    shuffled = k_centre(features[rng.permutation(len(features))], 10)
    assert len(set(clusters[shuffled])) < 10
    assert _cover_radius(features, chosen) < 0.2 * _cover_radius(features, shuffled)


def test_the_first_of_a_choice_are_the_choice_of_fewer() -> None:
    features = np.random.default_rng(1).normal(size=(100, 8)).astype(np.float32)
    assert k_centre(features, 40)[:15] == k_centre(features, 15)
    assert sorted(k_centre(features, 1000)) == list(range(100))
    assert k_centre(np.zeros((5, 3), np.float32), 3) == [0, 1, 2]  # all alike: no picture twice
    assert k_centre(np.empty((0, 3), np.float32), 3) == []


def test_pictures_are_chosen_by_the_features_of_the_model(tmp_path: Path) -> None:
    """The model of this test sees only brightness: pictures of rare brightness must be chosen."""
    rng = np.random.default_rng(5)
    for seed in range(40):
        level = {7: 250, 21: 5}.get(seed, 128)
        picture = np.full((32, 32, 3), level, np.int16) + rng.integers(-4, 5, (32, 32, 3))
        picture[8 * (seed % 4) : 8 * (seed % 4) + 6, seed % 26 : seed % 26 + 6] = 40 + 4 * seed
        cv2.imwrite(str(tmp_path / f"{seed:02}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    chosen = open_calibration(tmp_path, count=5, features=lambda picture: np.atleast_1d(np.median(picture)))
    assert {"07.png", "21.png"} <= set(chosen.names)
    assert chosen.record["method"] == "k-centre on the features of the model"


def test_the_same_data_give_the_same_choice_and_another_seed_looks_at_others(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 30)
    one, two = (open_calibration(folder, count=2, seed=3) for _ in range(2))
    assert (one.names, one.digest, one.record) == (two.names, two.digest, two.record)
    assert _pixels(one) == _pixels(one)
    assert one.record["examined"] == 16  # eight for each one chosen, of the 30
    assert any(open_calibration(folder, count=2, seed=s).digest != one.digest for s in range(4, 8))


def test_features_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 3)
    with pytest.raises(InputError, match="not finite"):
        open_calibration(folder, features=lambda _: np.array([1.0, np.nan]))
    lengths = itertools.count(2)
    with pytest.raises(InputError, match="3 numbers, those of others 2"):
        open_calibration(folder, features=lambda _: np.ones(next(lengths)))
    with pytest.raises(InputError, match="empty"):
        open_calibration(folder, features=lambda _: np.empty(0))


def test_long_features_are_folded_and_still_tell_pictures_apart(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 12)
    plain = open_calibration(folder, count=12, features=lambda p: p[::4, ::4].reshape(-1).astype(np.float32)[:500])
    folded = open_calibration(folder, count=12, features=lambda p: p.reshape(-1).astype(np.float32))
    assert len(plain) == len(folded) == 12
    assert {one.pixels for one in plain.likenesses} == {one.pixels for one in folded.likenesses}


# --- what goes first ----------------------------------------------------------------------------------------------


def test_planted_duplicates_go_and_different_pictures_stay(tmp_path: Path) -> None:
    _folder(tmp_path, 40)
    picture = draw_picture(SIZE, 3)
    cv2.imwrite(str(tmp_path / "same-pixels.bmp"), picture)
    large = draw_picture((240, 320), 100)
    cv2.imwrite(str(tmp_path / "large.png"), large)
    cv2.imwrite(str(tmp_path / "saved-again.jpg"), large, [cv2.IMWRITE_JPEG_QUALITY, 75])
    cv2.imwrite(str(tmp_path / "smaller.png"), cv2.resize(large, (160, 120), interpolation=cv2.INTER_AREA))
    chosen = open_calibration(tmp_path)
    record = chosen.record
    assert (record["found"], record["duplicates"], record["near_duplicates"], record["chosen"]) == (44, 1, 2, 41)
    for hashes in ({one.pixels for one in chosen.likenesses}, {one.perceptual for one in chosen.likenesses}):
        assert len(chosen) == len(hashes) == 41
    assert not chosen.warnings
    json.dumps(record)


def test_unreadable_and_cut_off_pictures_are_named_and_left_out(tmp_path: Path) -> None:
    _folder(tmp_path, 3)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no picture")
    whole = cv2.imencode(".jpg", draw_picture((240, 320), 9))[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    png = cv2.imencode(".png", draw_picture((240, 320), 8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    chosen = open_calibration(tmp_path)
    assert len(chosen) == 3
    assert chosen.record["unreadable"] == 4
    assert "4 of the calibration pictures cannot be read" in chosen.warnings[0]
    for name in ("empty.jpg", "text.png", "cut.jpg", "cut.png"):
        assert name in chosen.warnings[0]
    assert "Only 3 calibration pictures" in chosen.warnings[1]
    # Control: whole, the same picture is taken.
    (tmp_path / "cut.jpg").write_bytes(whole)
    assert len(open_calibration(tmp_path)) == 4


def test_nothing_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        open_calibration(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"None of 1 .* a\.jpg"):
        open_calibration(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        open_calibration(tmp_path / "nowhere")
    with pytest.raises(InputError, match="one picture"):
        open_calibration(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="0 calibration pictures"):
        open_calibration(tmp_path, count=0)
    with pytest.raises(InputError, match="hold no pictures"):
        open_calibration([])


def test_a_picture_that_changes_after_the_choice_is_noticed(tmp_path: Path) -> None:
    chosen = open_calibration(_folder(tmp_path, 4))
    cv2.imwrite(str(tmp_path / "000.png"), draw_picture(SIZE, 77))
    with pytest.raises(InputError, match=r"000\.png is another"):
        list(chosen)


# --- where from ---------------------------------------------------------------------------------------------------


def test_frames_of_a_video_are_spread_in_time_and_the_same_at_every_reading(tmp_path: Path) -> None:
    video = _video(tmp_path / "v.avi", (draw_picture(SIZE, seed) for seed in range(400)))
    chosen = open_calibration(video, count=40)
    numbers = sorted(map(int, chosen.names))
    assert len(numbers) == 40
    assert numbers[0] < 40
    assert numbers[-1] >= 360
    assert max(np.diff(numbers)) <= 40
    assert _pixels(chosen) == _pixels(chosen)
    assert chosen.record["source"] == "video"
    assert chosen.record["found"] == 400


def test_a_long_video_is_reached_by_seeking(tmp_path: Path) -> None:
    seeds = [0, 1, 2, 3]
    video = _video(tmp_path / "v.avi", (draw_picture((48, 64), seeds[i // 300]) for i in range(1200)))
    chosen = open_calibration(video, count=2)  # looks at 4 frames, 400 apart
    assert len(chosen) == 2
    assert chosen.record["examined"] == 4
    assert _pixels(chosen) == _pixels(open_calibration(video, count=2))


class _VariableRate:
    """A video reader whose seeks end three frames beyond the frame that decoding reaches."""

    seeks = 0

    def __init__(self, path: str) -> None:
        self._real = _CAPTURE(path)

    def set(self, what: int, value: float) -> bool:
        assert what == cv2.CAP_PROP_POS_FRAMES
        type(self).seeks += 1
        return bool(self._real.set(what, value + 3))

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


_CAPTURE = cv2.VideoCapture


@pytest.mark.parametrize(("count", "far"), [(8, False), (3, True)])
def test_a_chosen_frame_is_the_one_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, far: bool
) -> None:
    """Some of those chosen lie farther apart than decoding is worth, while those looked at lie nearer; or all do."""
    video = _video(tmp_path / "v.avi", (draw_picture(SIZE, seed) for seed in range(2400)))
    monkeypatch.setattr(_VariableRate, "seeks", 0)
    monkeypatch.setattr(cv2, "VideoCapture", _VariableRate)
    chosen = open_calibration(video, count=count)
    numbers = sorted(map(int, chosen.names))
    assert len(_pixels(chosen)) == len(numbers) == count  # going through it compares the pixels
    assert max(np.diff(numbers)) > video_frames._SEEK_BEYOND
    assert (_VariableRate.seeks > 0) == far


def test_a_still_scene_gives_what_it_has_and_a_warning(tmp_path: Path) -> None:
    """A faint square moves over a still picture: all frames resemble each other, none repeats another."""
    scene = draw_picture(SIZE, 1).clip(0, 230)

    def frames() -> Iterator[Array]:
        for step in range(56):
            frame = scene.copy()
            frame[4:10, step : step + 6] += 15
            yield frame

    chosen = open_calibration(_video(tmp_path / "v.avi", frames()), count=100)
    assert len(chosen) == 32
    assert "hardly changes" in chosen.warnings[0]
    # A folder is the control: there, near duplicates are never brought back.
    for number, frame in enumerate(frames()):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    (tmp_path / "v.avi").unlink()
    assert len(open_calibration(tmp_path, count=100)) < 32


def test_a_cut_off_video_gives_the_frames_it_has(tmp_path: Path) -> None:
    video = _video(tmp_path / "v.avi", (draw_picture(SIZE, seed) for seed in range(60)))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    chosen = open_calibration(video, count=100)
    assert 5 < len(chosen) < 60
    (tmp_path / "no.mp4").write_bytes(b"no video" * 99)
    with pytest.raises(InputError, match="not a video"):
        open_calibration(tmp_path / "no.mp4")


def test_array_files_are_read_in_place_and_checked(tmp_path: Path) -> None:
    pictures = np.stack([draw_picture(SIZE, seed) for seed in range(35)])
    np.save(tmp_path / "a.npy", pictures)
    np.savez_compressed(tmp_path / "a.npz", pictures)
    from_npy, from_npz = open_calibration(tmp_path / "a.npy"), open_calibration(tmp_path / "a.npz")
    from_array = open_calibration(pictures)
    assert from_npy.digest == from_npz.digest == from_array.digest
    assert _pixels(from_npy) == _pixels(from_npz)
    assert len(from_npy) == 35
    bad = {
        "float32": pictures.astype(np.float32),
        "Move the channels last": np.moveaxis(pictures, 3, 1),
        "Repeat gray": pictures[..., 0],
        "one picture": pictures[0],
        "no pictures": pictures[:0],
    }
    for message, array in bad.items():
        np.save(tmp_path / "bad.npy", array)
        with pytest.raises(InputError) as caught:
            open_calibration(tmp_path / "bad.npy")
        assert message in str(caught.value)


def test_arrays_with_pickles_several_arrays_or_no_array_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        open_calibration(tmp_path / "o.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 4, 4, 3), np.uint8), b=np.zeros(3))
    with pytest.raises(InputError, match="several arrays"):
        open_calibration(tmp_path / "two.npz")
    for name in ("x.npy", "x.npz"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InputError):
            open_calibration(tmp_path / name)


def test_an_endless_iterable_is_read_until_enough_is_seen() -> None:
    drawn = 0

    def endless() -> Iterator[Array]:
        nonlocal drawn
        while True:
            drawn += 1
            yield draw_picture((24 + drawn % 3, 32), drawn)

    chosen = open_calibration(endless(), count=6)
    assert drawn == 12
    assert len(chosen) == 6
    assert _pixels(chosen) == _pixels(chosen)
    with pytest.raises(InputError, match="float64"):
        open_calibration([np.zeros((4, 4, 3))])
    with pytest.raises(InputError, match="batch dimension"):
        open_calibration([np.zeros((1, 4, 4, 3), np.uint8)])


# --- apart from the evaluation data --------------------------------------------------------------------------------


def test_a_planted_overlap_is_found_also_when_saved_again(tmp_path: Path) -> None:
    chosen = open_calibration([draw_picture((240, 320), seed) for seed in range(20)])
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    for seed in range(100, 120):
        cv2.imwrite(str(evaluation / f"{seed}.png"), draw_picture((240, 320), seed))
    files = sorted(evaluation.iterdir())
    assert overlap(chosen, files) == []
    cv2.imwrite(str(evaluation / "same.png"), draw_picture((240, 320), 4))
    cv2.imwrite(str(evaluation / "again.jpg"), draw_picture((240, 320), 5), [cv2.IMWRITE_JPEG_QUALITY, 70])
    (evaluation / "broken.png").write_bytes(b"")
    found = overlap(chosen, sorted(evaluation.iterdir()))
    assert {(shared.evaluation.name, shared.calibration, shared.kind) for shared in found} == {
        ("same.png", "4", "same"),
        ("again.jpg", "5", "near"),
    }
    assert "again.jpg, which is nearly 5" in str(found[0])


# --- memory -------------------------------------------------------------------------------------------------------


def test_pictures_are_never_in_memory_together(tmp_path: Path) -> None:
    """60 pictures of 0.8 MB pass through: at no time are there more than a few of them."""
    scenes = [cv2.resize(draw_picture(SIZE, seed), (512, 512)) for seed in range(60)]
    size = scenes[0].nbytes
    for number, scene in enumerate(scenes):
        cv2.imwrite(str(tmp_path / f"{number}.bmp"), scene)
    del scenes
    open_calibration(tmp_path, count=1)  # libraries are loaded
    tracemalloc.start()
    chosen = open_calibration(tmp_path, count=60)
    for _ in chosen:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    kept = list(chosen)  # control: that is what pictures in memory together look like
    together = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(kept) == 60
    assert peak < 10 * size < 60 * size <= together
