"""Which pictures a dataset says belong together.

It says so in `groups.csv` (columns file,group), in a column `group` of `labels.csv`, or by the names of a video's frames.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from edgesdk_targets.errors import InputError

_FRAME = re.compile(r"^(?:(?P<video>.*)[ ._-])?(?:frame|frm)[ ._-]?\d+$", re.IGNORECASE)
_VIDEO = re.compile(r"^(?P<video>.+\.(?:mp4|mkv|avi|mov|webm|m4v))[ ._-].*$", re.IGNORECASE)


def video_of(path: Path) -> str | None:
    """Return the video that a picture is a frame of, by its name; None where the name says nothing."""
    for pattern in (_VIDEO, _FRAME):
        found = pattern.match(path.stem)
        if found:
            return f"{path.parent}/{found['video'] or ''}"
    return None


def read_groups(folder: Path) -> dict[Path, str]:
    """Read what a dataset says about its groups: by picture, none where it says nothing.

    Raises:
        InputError: the table cannot be read, or a line has no group.
    """
    found: dict[Path, str] = {}
    for table in (folder / "groups.csv", folder / "labels.csv"):
        if table.is_file():
            found = _read(table) or found
            if found:
                break
    return found


def groups_from(*folders: Path) -> dict[Path, str]:
    """Read the groups of a dataset and of a set in it, of which the last one has the say.

    Raises:
        InputError: as `read_groups`.
    """
    return {path: group for folder in dict.fromkeys(folders) for path, group in read_groups(folder).items()}


def _read(table: Path) -> dict[Path, str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"file", "group"} <= set(reader.fieldnames or ()):
                if table.name == "labels.csv":
                    return {}
                raise InputError(f"{table} must have the columns file,group.", hint="Write `file,group` as first line.")
            rows = [(row["file"] or "", row["group"] or "", reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read: {error}.", hint="Save it as CSV in UTF-8.") from error
    for name, group, line in rows:
        if not name.strip() or not group.strip():
            raise InputError(f"{table}:{line}: file or group is missing.", hint="Fill both in every line.")
    return {table.parent / part / name.strip(): group.strip() for name, group, _ in rows for part in ("", "images")}
