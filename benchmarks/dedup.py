"""How many planted copies does `edgesdk data dedup` find, and what does it take for one that is none?

    python benchmarks/dedup.py [--scenes 1200] [--json]

Pictures: drawn scenes; scikit-learn's 1,797 digits, which are 8 x 8 pixels and look alike; and, where `EDGESDK_ASSETS` has
them, the tiles of real photos. Of every fifth a copy is planted: encoded again as JPEG of quality 40 to 95, perhaps resized (0.5
to 1.5), perhaps cropped by up to 5 % a side. A false one is a picture that is called a copy of another than its own. Ends with 1
where less than 99 % are found, or more than 0.1 % are false.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from edgesdk.data.dedup.find import find_duplicates
from edgesdk.data.index.open_index import open_index
from edgesdk_testkit.picture_sets import planted_copy, scene

LEAST_FOUND, MOST_FALSE = 0.99, 0.001
_EVERY = 5
_TILES = 3


def pictures(scenes: int) -> list[tuple[str, Any]]:
    from sklearn.datasets import load_digits

    found = [(f"scene-{seed:05d}", scene(seed, (150, 200))) for seed in range(scenes)]
    for number, digit in enumerate(load_digits().images):
        pixels = (np.kron(digit, np.ones((6, 6))) * 15.9).astype(np.uint8)
        found.append((f"digit-{number:05d}", cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)))
    assets = os.environ.get("EDGESDK_ASSETS")
    for path in sorted(Path(assets).glob("detection_coco/images/*.jpg")) if assets else ():
        photo = cv2.imread(str(path))
        height, width = photo.shape[0] // _TILES, photo.shape[1] // _TILES
        for place in range(_TILES * _TILES):
            top, left = place // _TILES * height, place % _TILES * width
            found.append((f"tile-{path.stem}-{place}", photo[top : top + height, left : left + width]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rng = np.random.default_rng(7)
    originals = pictures(asked.scenes)
    planted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, picture) in enumerate(originals):
            cv2.imwrite(f"{folder}/{name}.png", picture)
            if number % _EVERY == 0:
                cv2.imwrite(f"{folder}/{name}_copy.png", planted_copy(picture, rng))
                planted[name.split("-")[0]] += 1
        found = find_duplicates(open_index([folder]))
    right: Counter[str] = Counter()
    wrong: list[tuple[str, str]] = []
    for group in found.groups:
        for item, _ in group.others:
            own, kept = (one.path.stem.removesuffix("_copy") for one in (item, group.kept))
            if own == kept:
                right[own.split("-")[0]] += 1
            else:
                wrong.append((item.name, group.kept.name))
    share = right.total() / planted.total()
    false = len(wrong) / len(originals)
    told = {
        "pictures": len(originals),
        "kinds": dict(Counter(name.split("-")[0] for name, _ in originals)),
        "planted": dict(planted),
        "found": dict(right),
        "found_share": share,
        "false": wrong,
        "false_share": false,
        "passed": share >= LEAST_FOUND and false <= MOST_FALSE,
    }
    if asked.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        print(
            f"{right.total()} of {planted.total()} planted copies found ({share:.2%}): {dict(right)} of {dict(planted)}"
        )
        print(f"{len(wrong)} of {len(originals)} pictures falsely called copies ({false:.3%}): {wrong[:10]}")
    return 0 if told["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
