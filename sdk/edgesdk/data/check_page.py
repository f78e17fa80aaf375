"""The HTML page about a checked dataset: what was found with thumbnails, its classes and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgesdk.data.check import Checked
from edgesdk.data.findings import KINDS, Finding
from edgesdk.data.index.item import Item
from edgesdk.data.thumbnails import thumbnails
from edgesdk.report.page import Page
from edgesdk.report.plots import bars, histograms

_SHOWN = 24
_LISTED = 200
_CLASSES = 40


def check_page(checked: Checked) -> Page:
    """Return the page."""
    index = checked.index
    page = Page(f"Dataset {index.root.resolve().name}", f"{checked.about}. {checked.counted}.")
    by_kind: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    page.heading("What was found")
    rows = [
        [kind, "fault" if KINDS[kind][0] else "remark", str(len(found)), KINDS[kind][1]]
        for kind, found in by_kind.items()
    ]
    page.table(["kind", "", "how many", "what it is"], rows) if rows else page.text("Nothing.")
    items = {item.name: item for item in index.items}
    small = thumbnails([items[f.name] for found in by_kind.values() for f in found[:_SHOWN] if f.name in items])
    for kind, found in by_kind.items():
        _kind(page, kind, found, small)
    _classes(page, checked)
    if checked.sizes:
        sides: dict[str, Sequence[float]] = {
            "width": [float(w) for w, _ in checked.sizes],
            "height": [float(h) for _, h in checked.sizes],
        }
        page.heading("Sizes").figure(histograms(sides, unit="pixels"), "Widths and heights of the pictures.")
    page.heading("Some of its pictures")
    some = _spread(index.items)
    shown = thumbnails(some)
    page.pictures([(shown[i.name], f"{', '.join(i.classes)} {i.name}") for i in some if i.name in shown])
    return page


def _kind(page: Page, kind: str, found: list[Finding], small: dict[str, bytes]) -> None:
    page.heading(f"{kind}: {KINDS[kind][1]}")
    rows = [[f.split, f.name, f.detail] for f in found[:_LISTED]]
    more = f"The first {_LISTED} of {len(found)}." if len(found) > _LISTED else ""
    page.table(["set", "name", "what"], rows, more)
    pictures = [(small[f.name], f"{f.name}: {f.detail}") for f in found[:_SHOWN] if f.name in small]
    if pictures:
        page.pictures(pictures)


def _classes(page: Page, checked: Checked) -> None:
    index = checked.index
    if not index.names:
        return
    splits = index.splits
    names = [name for name, _ in index.of_class().most_common(_CLASSES)]
    counts = Counter((item.split, name) for item in index.items for name in item.classes)
    series: dict[str, Sequence[float]] = {s or "pictures": [float(counts[s, n]) for n in names] for s in splits}
    page.heading("Classes")
    most = f"The {_CLASSES} most frequent of {len(index.names)} classes." if len(index.names) > _CLASSES else ""
    page.figure(bars(names, series, unit="pictures"), most or "Pictures that show each class.")


def _spread(items: tuple[Item, ...]) -> list[Item]:
    step = max(1, len(items) // _SHOWN)
    return list(items[::step][:_SHOWN])
