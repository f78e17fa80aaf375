"""The HTML page about what a dataset has twice: leaks, wrong labels, copies, side by side."""

from __future__ import annotations

from edgesdk.data.dedup.find import Copies, Duplicates
from edgesdk.data.index.item import Item
from edgesdk.data.thumbnails import thumbnails
from edgesdk.report.page import Page

_GROUPS = 60
_IN_GROUP = 6


def duplicates_page(found: Duplicates) -> Page:
    """Return the page."""
    leaks = found.leaks
    page = Page(
        f"Copies in {found.index.root.resolve().name}",
        f"{found.copies} of {len(found.index)} pictures are copies of {len(found.groups)} others; "
        f"{len(leaks)} of these lie in more than one set.",
    )
    shown = found.groups[:_GROUPS]
    small = thumbnails([item for group in shown for item in group.items[:_IN_GROUP]])
    for title, groups in (
        ("Leaks: one picture in several sets", [group for group in shown if len(group.splits) > 1]),
        ("Copies within one set", [group for group in shown if len(group.splits) == 1]),
    ):
        if groups:
            page.heading(title)
        for group in groups:
            page.pictures(
                [(small[item.name], f"{how}: {item.name}") for item, how in _told(group) if item.name in small],
                _sentence(group),
            )
    if len(found.groups) > _GROUPS:
        page.text(f"The first {_GROUPS} of {len(found.groups)}; --json lists all.")
    if found.unread:
        page.heading("Not compared").table(["name", "why"], [[item.name, why] for item, why in found.unread[:_GROUPS]])
    return page


def _told(group: Copies) -> list[tuple[Item, str]]:
    return [(group.kept, "kept"), *group.others[: _IN_GROUP - 1]]


def _sentence(group: Copies) -> str:
    more = f", {len(group.items) - _IN_GROUP} more not shown" if len(group.items) > _IN_GROUP else ""
    where = f" in {', '.join(group.splits)}" if len(group.splits) > 1 else ""
    labels = " Their labels differ." if group.labels_differ else ""
    return f"{len(group.items)} times{where}{more}.{labels}"
