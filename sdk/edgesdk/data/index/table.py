"""`labels.csv`: pictures by name, with a label, a text or numbers; a column `split` or `group` counts, too."""

from __future__ import annotations

from pathlib import Path

from edgesdk.data.findings import Finding
from edgesdk.data.index.inside import leads_out
from edgesdk.data.index.item import Item, Part
from edgesdk.layouts.group_names import read_groups, video_of
from edgesdk.layouts.labels_csv import columns_of, read_rows
from edgesdk.layouts.named_files import find_picture
from edgesdk_targets.errors import InputError


def index_table(part: Part, root: Path) -> tuple[list[Item], list[Finding]]:
    """List a table's pictures.

    Raises:
        InputError: it cannot be read, or has no column `file`.
    """
    table = part.table
    assert table is not None  # noqa: S101  (what makes it a table)
    columns = columns_of(table)
    of_classes = "label" in columns
    wanted = next(
        (c for c in ("label", "text", *columns) if c in columns and c not in {"file", "group", "split"}), "file"
    )
    groups = read_groups(table.parent)
    folders = (table.parent, table.parent / "images")
    items: list[Item] = []
    found: list[Finding] = []
    met: set[str] = set()
    for line, row in read_rows(table, wanted):
        place, value = (row["file"] or "").strip(), row[wanted]
        split = (row.get("split") or "").strip() or part.split
        where = f"{table.name}:{line}"
        if not place or place in met:
            detail = f"{place} is listed twice" if place else "no file is named"
            found.append(Finding("bad-label", where, detail, split))
            continue
        met.add(place)
        try:
            path = find_picture(folders, place, where)
        except InputError:
            found.append(Finding("outside", where, f"names {place}, outside the dataset", split))
            continue
        if path is None:
            found.append(Finding("no-picture", where, f"there is no {place}", split))
            continue
        name = path.relative_to(root).as_posix()
        if leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed", split))
            continue
        labelled = value is not None and (bool(value.strip()) or wanted == "text")
        if not labelled:
            found.append(Finding("no-label", name, f"{where} has no {wanted}", split))
        classes = tuple(sorted({part.strip() for part in (value or "").split(";")} - {""})) if of_classes else ()
        group = groups.get(path) or video_of(path) or ""
        items.append(Item(path, name, place, split, classes, labelled, group))
    return items, found
