"""The pictures of the assets folder on which real models are measured, by the committed list `pictures.json`.

The list names every still, and frames of videos at least one second apart; four fixed crops are taken of each. What INT8
is calibrated on comes from other videos: a model is never calibrated on what it is judged on.

    python benchmarks/table/asset_pictures.py ASSETS     (writes the list again)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LIST = Path(__file__).with_name("pictures.json")
_STILLS = ("classification/images", "detection_coco/images", "face/images")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_JUDGED = ("bottle-detection.mp4",)  # and every second clip of the signs
_CALIBRATED = ("car-detection.mp4",)  # and the other clips
_CROPS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.7, 0.7), (0.3, 0.3, 0.7, 0.7), (0.2, 0.2, 0.6, 0.6))
_CALIBRATION_CROPS = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to answer for.

    Attributes:
        unit: the still or frame that it is cut from: its four crops count once.
    """

    image: Array
    unit: str


def judged_pictures(assets: Path, *, crops: bool, frames: bool = True, every: int = 1) -> Iterator[Picture]:
    """Yield the pictures of the list, (H, W, 3) uint8 BGR.

    Args:
        crops: the four fixed crops of each, else each whole.
        frames: those of the videos too.
        every: only one in so many, for a quick try.
    """
    listed = json.loads(LIST.read_text("utf-8"))
    for entry in listed["pictures"][::every]:
        if "frame" in entry and not frames:
            continue
        image = _frames(assets / entry["file"])[entry["frame"]] if "frame" in entry else read(assets / entry["file"])
        for crop in listed["crops"] if crops else [[0.0, 0.0, 1.0, 1.0]]:
            yield Picture(_cut(image, crop), f"{entry['file']}#{entry.get('frame', 0)}")


def write_calibration(assets: Path, folder: Path) -> Path:
    """Write pictures that are not on the list, whole and in seeded crops, as PNG; return the folder."""
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    for number, image in enumerate(_calibration_pictures(assets)):
        _write(partial / f"{number:03}-0.png", image)
        for place in range(1, _CALIBRATION_CROPS + 1):
            size = rng.uniform(0.35, 0.8)
            left, top = rng.uniform(0, 1 - size, 2)
            piece = _cut(image, (left, top, size, size))
            _write(partial / f"{number:03}-{place}.png", piece[:, ::-1] if place % 2 else piece)
    partial.rename(folder)
    return folder


def read(path: Path) -> Array:
    """Read a still."""
    image: Array | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path} cannot be read")
    return image


def listed(assets: Path) -> dict[str, Any]:
    """Make the list: all stills, and of each judged video a frame a second."""
    stills = [p for folder in _STILLS for p in sorted((assets / folder).iterdir()) if p.suffix.lower() in _SUFFIXES]
    pictures: list[dict[str, object]] = [{"file": path.relative_to(assets).as_posix()} for path in stills]
    for video in [*(assets / "video" / name for name in _JUDGED), *_clips(assets)[::2]]:
        name = video.relative_to(assets).as_posix()
        pictures += [{"file": name, "frame": frame} for frame in _once_a_second(video)]
    return {"crops": [list(crop) for crop in _CROPS], "pictures": pictures}


def _clips(assets: Path) -> list[Path]:
    return sorted((assets / "video/asl_gestures").glob("*.mkv"))


def _calibration_pictures(assets: Path) -> Iterator[Array]:
    for video in [*(assets / "video" / name for name in _CALIBRATED), *_clips(assets)[1::2]]:
        frames = _frames(video)
        step = 12 if video.suffix == ".mp4" else 15
        yield from (frames[place] for place in range(0, len(frames), step))
    from sklearn.datasets import load_sample_images

    yield from (np.ascontiguousarray(image[..., ::-1]) for image in load_sample_images().images)


def _once_a_second(video: Path) -> list[int]:
    capture = cv2.VideoCapture(str(video))
    step, count = int(np.ceil(capture.get(cv2.CAP_PROP_FPS))), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return list(range(0, count or len(_frames(video)), step))


@cache
def _frames(video: Path) -> Sequence[Array]:
    """Decode a whole video; those of the assets are short."""
    capture = cv2.VideoCapture(str(video))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            break
        frames.append(frame)
    capture.release()
    return frames


def _cut(image: Array, crop: Sequence[float]) -> Array:
    height, width = image.shape[:2]
    left, top = round(crop[0] * width), round(crop[1] * height)
    right, bottom = round((crop[0] + crop[2]) * width), round((crop[1] + crop[3]) * height)
    return np.ascontiguousarray(image[top:bottom, left:right])


def _write(path: Path, image: Array) -> None:
    if not cv2.imwrite(str(path), np.ascontiguousarray(image)):
        raise SystemExit(f"{path} cannot be written")


if __name__ == "__main__":
    made = listed(Path(sys.argv[1]))
    lines = ",\n".join(f"  {json.dumps(entry)}" for entry in made["pictures"])
    LIST.write_text(f'{{"crops": {json.dumps(made["crops"])},\n "pictures": [\n{lines}\n]}}\n', "utf-8")
    print(f"{LIST.name}: {len(made['pictures'])} pictures")
