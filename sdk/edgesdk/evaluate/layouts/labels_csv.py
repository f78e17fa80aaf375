"""`labels.csv`: a header with `file` and `label` or `text`, a picture a line; further columns are left alone.

Several labels that are all right for a picture are separated by semicolons.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from edgesdk.evaluate.layouts.class_names import ClassNames
from edgesdk.evaluate.layouts.named_files import find_picture, missing
from edgesdk.evaluate.samples import ClassSample, TextSample
from edgesdk_targets.errors import InputError


def read_class_table(table: Path, labels: tuple[str, ...]) -> list[ClassSample]:
    """Read pictures with their classes, by name or number.

    Raises:
        InputError: the table is malformed, or names a picture or class that is not there.
    """
    names = ClassNames(labels)
    samples: list[ClassSample] = []
    unknown: list[str] = []
    for path, text in _rows(table, "label"):
        whole = names.find(text.strip())
        parts = [text] if whole is not None else text.split(";")
        classes = {part: names.find(part.strip()) for part in parts}
        unknown += [part.strip() for part, class_id in classes.items() if class_id is None]
        samples.append(ClassSample(path, frozenset(c for c in classes.values() if c is not None)))
    if unknown:
        raise names.unknown(unknown, str(table))
    return samples


def read_text_table(table: Path) -> list[TextSample]:
    """Read pictures with their texts.

    Raises:
        InputError: the table is malformed, or names a picture that is not there.
    """
    return [TextSample(path, text) for path, text in _rows(table, "text")]


def _rows(table: Path, column: str) -> Iterator[tuple[Path, str]]:
    """Yield each picture and what stands in `column`, after checking all lines."""
    rows: list[tuple[Path, str]] = []
    absent: list[str] = []
    seen: set[str] = set()
    folders = (table.parent, table.parent / "images")
    for line, row in _read(table, column):
        name, value = (row["file"] or "").strip(), row[column]
        where = f"{table}:{line}"
        if not name or value is None or (column == "label" and not value.strip()):
            raise InputError(f"{where}: file or {column} is missing.", hint=f"Fill file and {column} in every line.")
        if name in seen:
            raise InputError(f"{where}: {name} is listed twice.", hint="Remove one of the two lines.")
        seen.add(name)
        path = find_picture(folders, name, where)
        if path is None:
            absent.append(name)
        else:
            rows.append((path, value))
    if absent:
        raise missing(f"{table} lists pictures that are not there", absent, "Put them beside labels.csv or in images/.")
    yield from rows


def _read(table: Path, column: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            if not {"file", column} <= set(columns):
                raise InputError(
                    f"{table} must have the columns file,{column}; it has {','.join(columns) or 'none'}.",
                    hint=f"Write `file,{column}` as its first line.",
                )
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read: {error}.", hint="Save it as CSV in UTF-8.") from error
