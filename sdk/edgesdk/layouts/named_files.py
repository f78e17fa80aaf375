"""Pictures that a dataset names: found inside its folder, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from edgesdk_targets.errors import InputError

_SHOWN = 3


def find_picture(folders: Sequence[Path], name: str, where: str) -> Path | None:
    """Return the picture `name` in the first folder that has it.

    Raises:
        InputError: the name would lead out of the folder.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    leads_out = posix.is_absolute() or windows.is_absolute() or windows.drive or ".." in {*posix.parts, *windows.parts}
    if leads_out or not posix.name or "\0" in name:
        raise InputError(
            f"{where} names {name!r}, which is not inside the dataset's folder.",
            hint="Use paths relative to the dataset, without `..`.",
        )
    for folder in folders:
        if (folder / posix).is_file():
            return folder / posix
    return None


def missing(what: str, names: Iterable[str], hint: str) -> InputError:
    """Return the error that names what is missing, the first few and how many."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return InputError(f"{what}: {', '.join(listed[:_SHOWN])}{more}.", hint=hint)
