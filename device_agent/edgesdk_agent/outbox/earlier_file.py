"""The file of an earlier epoch: where it lies, and how it gets there."""

from __future__ import annotations

import os
from pathlib import Path

from edgesdk_agent.outbox.database import StoreUnavailable
from edgesdk_agent.outbox.store import Store


def earlier_path(path: Path) -> Path:
    return path.with_name(path.name + ".earlier")


def put_aside(path: Path, store: Store, last: int) -> None:
    """Close a database well, and move it out of the way of a new one.

    Args:
        last: the highest number that it has seen.

    Raises:
        StoreUnavailable: its log could not be written back; nothing was moved.
    """
    try:
        with store.transaction():
            store.set_meta({"ceiling": last, "written_upto": last, "clean": 1})
    finally:
        store.close()
    if path.with_name(path.name + "-wal").exists():
        raise StoreUnavailable("its log cannot be written back")
    path.replace(earlier_path(path))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The new file must not become durable before the old one's new name.
        os.fsync(folder)
    finally:
        os.close(folder)
