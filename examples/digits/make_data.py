"""Split scikit-learn's handwritten digits, and write the test part for the conveyor camera.

The rule: an image's side is decided by its content alone. Within each class the images are ordered by a hash of the
seed and the pixels, and the first 30 % are the test split; so the split depends on no library's random numbers, and
equal images can only fall on the same side.

    python make_data.py [FILE.npz]
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SEED = 2026
TEST_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Handwritten digits.

    Attributes:
        images: (N, 8, 8) uint8, ink 0..16.
        labels: (N,) uint8.
    """

    images: Array
    labels: Array


def content_hash(image: Array) -> str:
    """Return the SHA-256 of the seed and the image's pixels, as hexadecimal text."""
    return hashlib.sha256(str(SEED).encode() + image.astype(np.uint8).tobytes()).hexdigest()


def split(digits: Digits) -> tuple[Digits, Digits]:
    """Split into train and test, stratified by class and without a common image."""
    hashes = np.array([content_hash(image) for image in digits.images])
    test = np.zeros(len(hashes), bool)
    for label in np.unique(digits.labels):
        # Equal images of two labels would be taken to the test side by whichever comes first.
        distinct = np.unique(hashes[digits.labels == label])
        test |= np.isin(hashes, distinct[: round(len(distinct) * TEST_SHARE)])
    return _part(digits, ~test), _part(digits, test)


def load_all() -> Digits:
    """Load the 1797 images that come inside scikit-learn (UCI, CC BY 4.0)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Digits(bunch.images.astype(np.uint8), bunch.target.astype(np.uint8))


def train_split() -> Digits:
    """Return what the sample models are trained on."""
    return split(load_all())[0]


def _part(digits: Digits, chosen: Array) -> Digits:
    return Digits(digits.images[chosen], digits.labels[chosen])


def main() -> None:
    """Write the test split beside the conveyor camera, or to the file given."""
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
    else:
        from edgesdk_agent.cameras import conveyor

        target = conveyor.DIGITS_FILE
    train, test = split(load_all())
    np.savez_compressed(target, images=test.images, labels=test.labels)
    print(f"{target}: {len(test.labels)} test images ({len(train.labels)} remain for training)")


if __name__ == "__main__":
    main()
