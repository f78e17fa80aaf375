"""Open the outbox's files as an earlier process, or a power cut, left them."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.database import StoreDamaged, StoreUnavailable, parsed
from edgesdk_agent.outbox.day_meter import DayMeter
from edgesdk_agent.outbox.ledger import GapLedger
from edgesdk_agent.outbox.number_ranges import NumberRanges
from edgesdk_agent.outbox.recent_file import RecentFile, remove_recent
from edgesdk_agent.outbox.room import Room
from edgesdk_agent.outbox.store import Store
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import GapCause

log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Opened:
    """What the files say.

    Attributes:
        store: None where nothing can be written now.
        ceiling: numbers up to here may be used.
        trouble: code and message of what went wrong, told once as an event.
    """

    epoch: str
    store: Store | None
    recent: RecentFile
    ledger: GapLedger
    kept: NumberRanges
    restored: Counter[ReportKind]
    next_seq: int
    ceiling: int
    trouble: tuple[str, str] | None = None


def boot_id() -> str:
    """Return what tells two starts of the system apart; unlike any other where the system has no such thing."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return secrets.token_hex(8)


def open_files(path: Path, reserve: int, boot: str) -> Opened:
    """Open what is there, or begin anew.

    Raises:
        InputError: another process has the outbox, or the path is that of a folder.
    """
    if path.is_dir():
        raise InputError(f"The outbox {path} is a folder.", hint=f"Name a file in it: {path / 'outbox.db'}.")
    trouble = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return recovered(path, reserve, boot)
        except StoreUnavailable:
            # A disk that is full has just so much room left as was kept for this moment.
            if not Room(room_path(path)).give():
                raise
            return recovered(path, reserve, boot)
        except StoreDamaged as error:
            aside = set_aside(path)
            trouble = ("outbox_damaged", f"{path} could not be read ({error}); it was kept as {aside.name}.")
            opened = recovered(path, reserve, boot)
            opened.trouble = trouble
            return opened
    except (StoreUnavailable, StoreDamaged, OSError) as error:
        if "locked" in str(error):
            raise InputError(
                f"The outbox {path} is in use by another process.", hint="Stop the other agent, or set outbox.path."
            ) from error
        message = f"{path} cannot be written ({error}); reports wait in memory, and it is tried again."
        return _in_memory(path, ("outbox_unavailable", message))


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way; the last one is kept, older ones are replaced."""
    aside = path.with_name(path.name + ".damaged")
    for end in ("-wal", "-shm", ""):
        source = path.with_name(path.name + end)
        with contextlib.suppress(FileNotFoundError):
            source.replace(aside.with_name(aside.name + end))
    remove_recent(recent_path(path))
    return aside


def recent_path(path: Path) -> Path:
    return path.with_name(path.name + ".recent")


def room_path(path: Path) -> Path:
    return path.with_name(path.name + ".room")


def _in_memory(path: Path, trouble: tuple[str, str]) -> Opened:
    epoch = secrets.token_hex(8)
    recent = RecentFile(recent_path(path), epoch)
    return Opened(epoch, None, recent, GapLedger(), NumberRanges(), Counter(), 1, 1 << 62, trouble)


def recovered(path: Path, reserve: int, boot: str) -> Opened:
    """Open what an earlier process left, or make it.

    Raises:
        StoreUnavailable, OSError: not now.
        StoreDamaged: never again with this file.
    """
    store = Store(path)
    try:
        meta = store.meta
        epoch = meta.get("epoch") or secrets.token_hex(8)
        with parsed():
            ceiling = int(meta.get("ceiling", 0))
            written_upto = max(int(meta.get("written_upto", 0)), store.highest())
            DayMeter(0, lambda: 0.0, meta)
        recent = RecentFile(recent_path(path), epoch)
        # What lies below was in the database, or with the collector; a cut that was undone may bring it back.
        found, given = recent.read()
        late = [report for report in found if report.seq > written_upto]
        last = max([written_upto, *(report.seq for report in late)])
        ledger = store.load_ledger()
        clean = meta.get("clean") == "1"
        if given is not None and meta.get("boot") == boot:
            last = max(last, given)
        elif not clean and ceiling > last:
            # The power was cut, or no mark is left: of the numbers that were set aside nobody knows which were used.
            ledger.add([(last + 1, ceiling)], GapCause.CRASH)
            last = ceiling
        ceiling = last + reserve
        with store.transaction():
            store.insert(late)
            store.save_ledger(ledger)
            store.set_meta({"epoch": epoch, "ceiling": ceiling, "written_upto": last, "boot": boot, "clean": 0})
        ledger.saved()
        kept, restored = store.kept()
        recent.rewrite((), last)
        return Opened(epoch, store, recent, ledger, kept, restored, last + 1, ceiling)
    except BaseException:
        store.close()
        raise
