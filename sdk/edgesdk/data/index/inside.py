"""Whether a file lies where it seems to: a link must not lead out of the dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES


def leads_out(path: Path, root: Path) -> bool:
    """Tell whether a path that was found below `root` lies elsewhere (by a link, its own or of a folder), or nowhere."""
    try:
        return not path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        return True


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield the picture files of a folder and its subfolders, sorted; links to folders are not followed.

    Raises:
        InputError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror or error}.", hint="Check the folder's rights."
        ) from error

    for place, below, files in os.walk(folder, onerror=refuse):
        below.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(place) / name
