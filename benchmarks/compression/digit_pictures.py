"""Write scikit-learn's digits as pictures in class folders: `train/` and `test/`, divided as for the sample models.

python benchmarks/compression/digit_pictures.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "digits"))

from make_data import Digits, load_all, split  # noqa: E402

_WHITE = 255 / 16  # ink is 0..16


def write_digits(folder: Path) -> dict[str, int]:
    """Write both sets, 8x8 PNG files; return how many pictures each has."""
    train, test = split(load_all())
    for name, digits in (("train", train), ("test", test)):
        _write(folder / name, digits)
    return {"train": len(train.labels), "test": len(test.labels)}


def _write(folder: Path, digits: Digits) -> None:
    for number, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), (image * _WHITE).round().astype("uint8")):
            raise SystemExit(f"{path} could not be written: is the disk full?")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(write_digits(Path(sys.argv[1])))
