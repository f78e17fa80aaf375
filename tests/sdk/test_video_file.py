"""A video is there whole under its name, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.video_file import VideoFile
from edgesdk_targets.errors import InputError, NoSpace

SUFFIXES = (".mp4", ".avi", ".mkv")


def noise(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def frames_of(path: Path) -> list[tuple[int, ...]]:
    capture = cv2.VideoCapture(str(path))
    shapes = []
    while True:
        there, image = capture.read()
        if not there:
            capture.release()
            return shapes
        shapes.append(image.shape)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".MP4"])
def test_pictures_come_back_in_number_and_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / "folder" / f"v{suffix}"
    video = VideoFile(path, fps=12.5)
    for seed in range(20):
        video.write(noise(seed))
    assert not path.exists(), "not before it is whole"
    video.close()
    assert frames_of(path) == [(120, 160, 3)] * 20
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    capture.release()


def test_one_picture_is_a_video(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "v.mp4")
    video.write(noise(0))
    video.close()
    assert len(frames_of(tmp_path / "v.mp4")) == 1


def test_the_first_picture_decides_the_size(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "v.avi")
    video.write(noise(0))
    video.write(noise(1, 60, 80))
    video.close()
    assert frames_of(tmp_path / "v.avi") == [(120, 160, 3)] * 2


def test_an_older_video_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"the older one")
    video = VideoFile(path)
    video.write(noise(0))
    assert path.read_bytes() == b"the older one"
    video.close()
    assert len(frames_of(path)) == 1


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "v.mp4")
    video.close()
    video.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["v.txt", "v", "v.mp4.gz"])
def test_an_unknown_suffix_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no known video suffix") as caught:
        VideoFile(tmp_path / name)
    assert all(suffix in caught.value.hint for suffix in SUFFIXES)


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.mp4").mkdir()
    for path in (tmp_path / "file" / "v.mp4", tmp_path / "taken.mp4"):
        with pytest.raises(InputError):
            VideoFile(path)


# A limit on the size of files stops the codec's writes just as a full disk does, and needs no rights.
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from edgesdk.video_file import VideoFile
from edgesdk_targets.errors import EdgeError

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
video = VideoFile(Path(sys.argv[1]))
for seed in range(40):
    video.write(np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8))
try:
    video.close()
except EdgeError as error:
    print(error.code, error.message)
"""


def _write_under_limit(path: Path, limit: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(limit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_that_did_not_fit_is_an_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    assert "cannot be written whole" in _write_under_limit(tmp_path / f"v{suffix}", 300_000)
    assert not list(tmp_path.iterdir())


def test_the_same_video_with_room_is_written(tmp_path: Path) -> None:
    """Negative control of the test above."""
    assert _write_under_limit(tmp_path / "v.mp4", 100_000_000) == ""
    assert len(frames_of(tmp_path / "v.mp4")) == 40


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = VideoFile(tmp_path / "v.mp4")
    video.write(noise(0))
    monkeypatch.setattr("edgesdk.video_file._FULL_BYTES", 1 << 62)
    monkeypatch.setattr(video, "_is_whole", lambda: False)
    with pytest.raises(NoSpace, match="disk is full"):
        video.close()
    assert not list(tmp_path.iterdir())
