"""The two slots on the disk. What runs is never written: every change is refused for a slot that is active or on trial.

slots/a/model.edgebundle   the bundle; of a slot that a new agent made, a copy of the one that runs
slots/a/slot.json          what it is; there only while the bundle is whole, so it goes first and comes last
incoming/HEX.edgebundle    a download that is whole; a bundle is moved into a slot, not copied
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from edgesdk_agent.update.launcher import SLOT_FILE, SLOTS, Switch, held_slots, read_json
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.slot_content import SlotContent
from edgesdk_agent.update.wish import GIVEN
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import EVERYBODY, disk_errors, free_bytes_checked, sync_folder, write_all, write_whole

MODEL = f"model{SUFFIX}"
_HALF_WRITTEN = ".writing-*"
_BLOCK = 1 << 20


class Slots:
    """The folder of updates: slots, and what comes in. Used by one thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"

    def prepare(self) -> None:
        """Make the folders, and remove what a cut of the power left half written outside what runs.

        Raises:
            NoSpace, InputError: the place cannot be written.
        """
        own = [self.incoming, *(self.root / "slots" / slot for slot in SLOTS)]
        folders = (*own, self.root / GIVEN)
        with disk_errors(self.root):
            if not all(folder.is_dir() for folder in folders):
                for folder in folders:
                    folder.mkdir(parents=True, exist_ok=True)
                for folder in (self.root / "slots", self.root, self.root.parent):
                    sync_folder(folder)
            # Where somebody else may be writing at this moment, a wish or a bundle, nothing is touched.
            for folder in own:
                for left in folder.glob(_HALF_WRITTEN):
                    left.unlink(missing_ok=True)

    def bundle(self, slot: str) -> Path:
        """Return where a slot's bundle lies."""
        return self.root / "slots" / slot / MODEL

    def arrival(self, release: Release) -> Path:
        """Return where a release lies that has come in whole."""
        return self.incoming / f"{release.hex}{SUFFIX}"

    def content(self, slot: str) -> SlotContent | None:
        """Return what is complete in a slot."""
        if slot not in held_slots(self.root):
            return None
        try:
            return SlotContent.model_validate(read_json(self.root / "slots" / slot / SLOT_FILE))
        except ValidationError:
            return None

    def held(self, slot: str) -> Release | None:
        """Return by what a complete slot is named."""
        content = self.content(slot)
        return None if content is None else content.release

    def environments(self) -> set[str] | None:
        """Return the names of the environments that complete slots run by; None while a slot cannot tell."""
        contents = {slot: self.content(slot) for slot in SLOTS}
        # What cannot be read now, or not by this version, does not say that nothing runs by an environment.
        if any(content is None and not _is_absent(self._mark(slot)) for slot, content in contents.items()):
            return None
        return {content.environment for content in contents.values() if content is not None and content.environment}

    def move_in(self, slot: str, release: Release, switch: Switch) -> bool:
        """Put a release that has come in into a slot, not yet complete; tell whether it is there.

        May be called again after a cut of the power at any moment.

        Raises:
            InputError: the slot runs, or the disk refuses.
        """
        _refuse_running(slot, switch)
        arrival, folder = self.arrival(release), self.root / "slots" / slot
        with disk_errors(folder):
            if not arrival.exists():
                # Moved before the power was cut; or neither here nor there, which `prove` of whatever lies here tells.
                return self.bundle(slot).exists() and self.held(slot) is None
            self._take_mark(folder)
            os.replace(arrival, self.bundle(slot))  # noqa: PTH105  (all of them calls of `os`, for the test of power cuts)
            # Before the mark: a disk could keep the mark and lose the move.
            sync_folder(folder)
        return True

    def copy_in(self, slot: str, switch: Switch) -> None:
        """Put a copy of the bundle that runs into a slot, not yet complete, and on the disk for good only by a sync of all of it.

        Raises:
            InputError: the slot runs, or the disk refuses; NoSpace.
        """
        _refuse_running(slot, switch)
        source = self.bundle(switch.active)
        with disk_errors(source), source.open("rb") as bundle:
            self._take_mark(self.root / "slots" / slot)
            if self.bundle(slot).exists():
                os.unlink(self.bundle(slot))  # noqa: PTH108
            free_bytes_checked(self.bundle(slot), os.fstat(bundle.fileno()).st_size)
            handle = os.open(self.bundle(slot), os.O_WRONLY | os.O_CREAT | os.O_EXCL, EVERYBODY)
            try:
                while block := bundle.read(_BLOCK):
                    write_all(handle, block)
            finally:
                os.close(handle)

    def complete(self, slot: str, content: SlotContent, switch: Switch) -> None:
        """Mark a slot as complete, after what it holds has been proven.

        Raises:
            InputError: the slot runs, or the disk refuses; NoSpace.
        """
        _refuse_running(slot, switch)
        write_whole(self.root / "slots" / slot / SLOT_FILE, content.model_dump_json().encode())

    def give_up(self, slot: str, switch: Switch) -> None:
        """Make a slot incomplete, before it is filled anew. Raises InputError: the slot runs, or the disk refuses."""
        _refuse_running(slot, switch)
        with disk_errors(self.root / "slots" / slot):
            self._take_mark(self.root / "slots" / slot)

    def prune(self, slot: str, switch: Switch) -> None:
        """Remove what a slot holds. Raises InputError: the slot runs, or the disk refuses."""
        _refuse_running(slot, switch)
        folder = self.root / "slots" / slot
        with disk_errors(folder):
            self._take_mark(folder)
            if self.bundle(slot).exists():
                os.unlink(self.bundle(slot))  # noqa: PTH108
                sync_folder(folder)

    def forget_arrivals(self, but: Release | None = None) -> None:
        """Remove what came in and is not wanted any more. Raises InputError."""
        kept = "" if but is None else but.hex
        with disk_errors(self.incoming), suppress(FileNotFoundError):
            for path in sorted(self.incoming.iterdir()):
                if not kept or not path.name.startswith(kept):
                    os.unlink(path)  # noqa: PTH108

    def _mark(self, slot: str) -> Path:
        return self.root / "slots" / slot / SLOT_FILE

    @staticmethod
    def _take_mark(folder: Path) -> None:
        """Make a slot incomplete, for good, before anything in it is touched."""
        if (folder / SLOT_FILE).exists():
            os.unlink(folder / SLOT_FILE)  # noqa: PTH108
            sync_folder(folder)


def _is_absent(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _refuse_running(slot: str, switch: Switch) -> None:
    if slot not in SLOTS:
        raise InputError(f"There is no slot {slot!r}.", hint="Slots are a and b.")
    if slot == switch.active or (switch.trial is not None and slot == switch.trial.slot):
        raise InputError(f"Slot {slot} runs, and is not written.", hint="Update the other slot.")
