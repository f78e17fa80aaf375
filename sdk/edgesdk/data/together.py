"""Which pictures must not be parted: of one group, of one video, and copies of each other."""

from __future__ import annotations

from edgesdk.data.dedup.find import find_duplicates
from edgesdk.data.index.item import Index
from edgesdk.data.stream.pipeline import Progress


def groups_of(
    index: Index, *, copies: bool = False, workers: int | None = None, progress: Progress | None = None
) -> list[str]:
    """Return the group of each item; "" for one that stands alone.

    Args:
        copies: look for copies, and join their groups.
        workers: threads for that; None for one a core.
    """
    if not copies:
        return [item.group for item in index.items]
    parents = {item.name: item.name for item in index.items}

    def root(name: str) -> str:
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    first: dict[str, str] = {}
    for item in index.items:
        if item.group:
            parents[root(item.name)] = root(first.setdefault(item.group, item.name))
    for group in find_duplicates(index, workers=workers, progress=progress).groups:
        for item, _ in group.others:
            parents[root(item.name)] = root(group.kept.name)
    return [root(item.name) for item in index.items]
