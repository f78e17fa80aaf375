"""A folder that is there whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgesdk.data.index.item import Index, Item, Layout
from edgesdk.layouts.outside import check_outside
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import disk_errors, made_parent

# The folder of pictures that are in none of the sets.
UNLISTED = "unlisted"


def check_new(folder: Path, index: Index) -> None:
    """Refuse a folder that has something in it, or lies in the dataset that is read.

    Raises:
        InputError: it is so.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already.", hint="Give the name of a new folder.")
    # Videos are looked for in their folder alone, so what is written beside one is not found.
    if index.layout is not Layout.VIDEO:
        check_outside(folder, {"the data": index.root})


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` to write into, which takes its name when the block ends well.

    Raises:
        NoSpace, InputError: it cannot be written.
    """
    with disk_errors(folder):
        parent = made_parent(folder)
        writing = Path(tempfile.mkdtemp(prefix=f".writing-{folder.name}-", dir=parent))
        try:
            yield writing
            writing.chmod(0o755)
            if folder.is_dir():
                folder.rmdir()
            writing.rename(folder)
        except BaseException:
            shutil.rmtree(writing, ignore_errors=True)
            raise


def sets_of(index: Index, items: Sequence[Item]) -> dict[str, list[Item]]:
    """Return items by the sets that they lie in, so that a divided dataset stays divided; "" where it is not.

    In a divided one, what no set has goes to a folder of its own: in the folder above the sets it would hide them.
    """
    divided = any(index.splits)
    sets: dict[str, list[Item]] = {}
    for split in index.splits:
        mine = [item for item in items if item.split == split]
        sets.setdefault(split or (UNLISTED if divided else ""), []).extend(mine)
    return sets


def set_folder(place: Path, split: str) -> Path:
    """Return the new folder for a set in `place`, made; its name may come from a table, and is no path.

    Args:
        split: "" for `place` itself.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", split).strip("-.")
    if split and not plain:
        raise InputError(f"{split!r} is no name for a set.", hint="Use letters and digits in the column `split`.")
    folder = place / plain
    folder.mkdir(parents=True, exist_ok=True)
    if split and any(folder.iterdir()):
        raise InputError(f"Two sets would be written to one folder, {plain!r}.", hint="Give the sets other names.")
    return folder
