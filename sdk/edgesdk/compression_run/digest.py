"""By what data are known again: the files that are read of them, and a digest of their names and content.

Of a folder these are its pictures and what labels them, also behind links; of a table the table and the pictures that it lists.
What a system or a tool leaves beside them is none of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from edgesdk.layouts.coco_json import looks_like_coco
from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES

_TABLE = "labels.csv"
_BESIDE = frozenset({_TABLE, "groups.csv", "classes.txt", "data.yaml", "dataset.yaml"})


def files_behind(path: Path, listed: Iterable[Path] | None = None) -> dict[str, Path]:
    """Return the files that are read where a path of data is given, by their names relative to it.

    Args:
        path: a folder, a labels.csv or a COCO file.
        listed: the pictures of its samples. Where a table lists them, others do not count; None for pictures without labels.

    Raises:
        OSError: a folder cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    samples = list(listed or ())
    found = {_name(sample, folder): sample for sample in samples}
    if path.is_dir():
        by_table = bool(samples) and (folder / _TABLE).is_file()
        found |= {
            name: file
            for name, file in _below(folder)
            if _labels(name, file) or (not by_table and file.suffix.lower() in IMAGE_SUFFIXES)
        }
    else:
        found |= {file.name: file for file in (path, folder / "groups.csv", folder / _TABLE) if file.is_file()}
    return found


def digest_of_files(files: Mapping[str, Path]) -> str:
    """Return a digest of files: their names and their content.

    Raises:
        OSError: one cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        one = hashlib.sha256()
        with files[name].open("rb") as stream:
            while chunk := stream.read(1 << 20):
                one.update(chunk)
        digest.update(os.fsencode(name) + b"\0" + one.digest())
    return digest.hexdigest()


def _name(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _below(folder: Path, inside: str = "", above: frozenset[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    """Return all files below a folder; links to folders are followed, but not round in circles."""
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(Path(entry.path), f"{inside}{entry.name}/", above | {real})
            elif entry.is_file():
                yield f"{inside}{entry.name}", Path(entry.path)


def _labels(name: str, file: Path) -> bool:
    """Say whether a file below a dataset's folder is one that labels, groups or names its pictures."""
    inside, suffix = PurePosixPath(name), file.suffix.lower()
    if name in _BESIDE:
        return True
    if suffix == ".txt":
        return inside.parts[0] == "labels"
    return suffix == ".json" and inside.parts[:-1] in {(), ("annotations",)} and _is_coco(file)


def _is_coco(file: Path) -> bool:
    """Say whether a JSON file is one of COCO's; one that is as it was is not opened again, whoever looks how often."""
    try:
        known = file.stat()
    except OSError:
        return False
    return _looked_into(file, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=1024)
def _looked_into(file: Path, _mtime_ns: int, _size: int) -> bool:
    return looks_like_coco(file)
