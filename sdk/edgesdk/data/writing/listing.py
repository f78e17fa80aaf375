"""A list of pictures as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgesdk_targets.whole_file import write_whole


def write_list(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table whole or not at all, and return its path.

    Raises:
        InputError, NoSpace: it cannot be written.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(path, out.getvalue().encode())
    return path
