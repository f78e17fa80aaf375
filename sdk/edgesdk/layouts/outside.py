"""Where results may be written: beside the pictures that they are made from, and not among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgesdk_targets.errors import InputError


def check_outside(folder: Path, data: Mapping[str, Path]) -> None:
    """Refuse a folder for results inside the data, where they would be taken for some of it.

    Args:
        data: by what they are called in the message; a table or a COCO file lists its pictures, and takes in nothing else.

    Raises:
        InputError: the folder lies in one of them, or is one.
    """
    for name, path in data.items():
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"{folder} lies inside {name}, {path}.",
                hint="Name a folder beside the data: what is written inside would be read with it.",
            )
