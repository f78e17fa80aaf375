"""`labels.csv`: a header with `file` and `label`, `text` or columns of numbers, a picture a line.

Several labels that are all right for a picture are separated by semicolons. Numbers are taken from the columns that are
called as the model's labels; of a model without labels, from every column but `file`, `group` and `split`. Further columns
are left alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgesdk.layouts.class_names import ClassNames
from edgesdk.layouts.named_files import find_picture, missing
from edgesdk.layouts.samples import ClassSample, TextSample, ValueSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import list_images


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


def read_own_class_table(table: Path) -> tuple[list[ClassSample], tuple[str, ...]]:
    """Read pictures with classes of the dataset's own, as an embedding has none; return them with the classes' names.

    Raises:
        InputError: the table is malformed, or names a picture that is not there.
    """
    rows = list(_rows(table, "label"))
    names = tuple(sorted({text.strip() for _, text in rows}))
    numbers = {name: i for i, name in enumerate(names)}
    return [ClassSample(path, frozenset({numbers[text.strip()]})) for path, text in rows], names


def read_value_table(table: Path, labels: tuple[str, ...]) -> tuple[list[ValueSample], tuple[str, ...]]:
    """Read pictures with their true numbers; return them with the numbers' names.

    Raises:
        InputError: the table is malformed, lacks a column, or holds what is no number.
    """
    names = _value_columns(table, labels)
    columns = [list(_rows(table, name)) for name in names]
    samples: list[ValueSample] = []
    for cells in zip(*columns, strict=True):
        path = cells[0][0]
        samples.append(ValueSample(path, tuple(_number(text, f"{table}: {path.name}") for _, text in cells)))
    return samples, labels or names


def left_alone(table: Path, listed: Iterable[Path], *, of_classes: bool) -> tuple[str, ...]:
    """Return the warnings about pictures beside the table that it does not list, and class folders that do not count.

    Args:
        listed: the pictures that it lists.
        of_classes: the labels are classes, which folders could name as well.
    """
    known = set(listed)
    beside = {folder: list_images(folder) for folder in (table.parent, *_folders_below(table.parent))}
    found = []
    folders = [f for f, images in beside.items() if images and f not in {table.parent, table.parent / "images"}]
    if of_classes and len(folders) > 1:
        found.append(f"{table} counts, not the names of the {len(folders)} folders of pictures beside it.")
    absent = sum(1 for images in beside.values() for image in images if image not in known)
    if absent:
        said = "picture beside it is" if absent == 1 else "pictures beside it are"
        found.append(f"{absent} {said} not listed in {table.name}, and {'was' if absent == 1 else 'were'} not used.")
    return tuple(found)


def _folders_below(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())


def _value_columns(table: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that hold the model's numbers, in its order."""
    columns = columns_of(table)
    if not labels:
        names = tuple(name for name in columns if name not in {"file", "group", "split"})
        if names:
            return names
        raise InputError(
            f"{table} has no column of numbers: {','.join(columns) or 'no columns'}.",
            hint="Write `file,value` as its first line.",
        )
    found = {name.strip().casefold(): name for name in columns}
    absent = [label for label in labels if label.casefold() not in found]
    if len(labels) == 1 and absent and "value" in found:
        return (found["value"],)
    if absent:
        raise InputError(
            f"{table} has no column for {', '.join(absent)}, which the model estimates.",
            hint=f"Write `file,{','.join(labels)}` as its first line.",
        )
    return tuple(found[label.casefold()] for label in labels)


def columns_of(table: Path) -> list[str]:
    """Return a table's header.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file).fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read: {error}.", hint="Save it as CSV in UTF-8.") from error


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {text!r:.40} is no number.", hint="Write a number such as 12.5 in every line.")
    return value


def _rows(table: Path, column: str) -> Iterator[tuple[Path, str]]:
    """Yield each picture and what stands in `column`, after checking all lines."""
    rows: list[tuple[Path, str]] = []
    absent: list[str] = []
    seen: set[str] = set()
    folders = (table.parent, table.parent / "images")
    for line, row in read_rows(table, column):
        name, value = (row["file"] or "").strip(), row[column]
        where = f"{table}:{line}"
        if not name or value is None or (column != "text" and not value.strip()):
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


def read_rows(table: Path, column: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield each line's number and cells; only the header is checked.

    Raises:
        InputError: the table cannot be read, or lacks the column `file` or the one asked for.
    """
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
