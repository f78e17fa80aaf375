"""What is arriving: one file and one note for each upload, so that neither a cut nor a restart begins it anew.

ID.part   the bytes that are here
ID.json   whose they are, how many there will be, and what they show
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.fleet.service.security.refusals import Conflict, NotFound, Refused, TooLargeBody, Unavailable
from edgesdk_targets.whole_file import OWNER_ONLY, write_all, write_whole

_ID = re.compile(r"[0-9a-f]{32}")
MAX_BYTES = 1 << 30
_MAX_OPEN_OF_ONE = 16
# So much stays free for the store itself.
_LEFT_FREE_BYTES = 1 << 30
_FORGOTTEN_S = 48 * 3600


class Locked(Refused):
    """Somebody is sending this very upload."""

    status, code = 423, "locked"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload; `offset` bytes of `length` are here. `whole` once it is stored elsewhere."""

    id: str
    node: str
    length: int
    metadata: Mapping[str, str]
    offset: int
    whole: bool = False


class Incoming:
    """The folder of what is arriving.

    Args:
        folder: made when the first upload begins.
        clock: seconds since 1970.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._sending: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, node: str, length: int, metadata: Mapping[str, str]) -> str:
        """Begin an upload, and return its id.

        Raises:
            TooLargeBody: it is more than is taken.
            Unavailable: there is no room now, or the device has too many under way.
        """
        if length > MAX_BYTES:
            raise TooLargeBody(f"At most {MAX_BYTES} bytes are taken.")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        under_way = sum(one.node == node and not one.whole for one in self._all())
        free = shutil.disk_usage(self.folder).free
        if under_way >= _MAX_OPEN_OF_ONE or length > free - _LEFT_FREE_BYTES:
            raise Unavailable("There is no room for this now.", hint="Tried again later.")
        number = secrets.token_hex(16)
        self._note(number, {"node": node, "length": length, "metadata": dict(metadata)})
        return number

    def find(self, node: str, number: str) -> Upload:
        """Return an upload of a device.

        Raises:
            NotFound: there is none of it, or it is another's.
        """
        found = self._read(number) if _ID.fullmatch(number) else None
        if found is None or found.node != node:
            raise NotFound("There is no such upload.")
        return found

    @contextmanager
    def appending(self, upload: Upload, offset: int) -> Iterator[int]:
        """Yield a handle to write what follows `offset`; one at a time.

        Raises:
            Conflict: it is not what is here. Locked: somebody else writes it.
        """
        with self._lock:
            if upload.id in self._sending:
                raise Locked("This upload is being sent.")
            self._sending.add(upload.id)
        try:
            handle = os.open(
                self.part(upload), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, OWNER_ONLY
            )
            try:
                here = os.fstat(handle).st_size
                if here != offset or upload.whole:
                    raise Conflict(f"{here} bytes are here, not {offset}.")
                yield handle
                os.fsync(handle)
            finally:
                os.close(handle)
        finally:
            with self._lock:
                self._sending.discard(upload.id)

    def append(self, handle: int, upload: Upload, piece: bytes) -> None:
        """Write a piece.

        Raises:
            TooLargeBody: it is more than was announced.
            OSError: it cannot be written.
        """
        if os.fstat(handle).st_size + len(piece) > upload.length:
            raise TooLargeBody("This is more than was announced.")
        write_all(handle, piece)

    def part(self, upload: Upload) -> Path:
        """Return where the bytes lie."""
        return self.folder / f"{upload.id}.part"

    def finish(self, upload: Upload) -> None:
        """Remember for a while that it came whole: a device may ask again before it deletes its own."""
        note = {"node": upload.node, "length": upload.length, "metadata": dict(upload.metadata), "whole": True}
        self._note(upload.id, note)
        self.part(upload).unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Forget what nobody went on with for two days."""
        oldest = self._clock() - _FORGOTTEN_S
        for path in (*self.folder.glob("*.json"), *self.folder.glob("*.part")):
            part = path.with_suffix(".part")
            if max(one.stat().st_mtime for one in (path, part) if one.exists()) < oldest:
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[Upload]:
        self.forget_old()
        for path in self.folder.glob("*.json"):
            found = self._read(path.stem)
            if found is not None:
                yield found

    def _read(self, number: str) -> Upload | None:
        try:
            note: dict[str, Any] = json.loads((self.folder / f"{number}.json").read_bytes())
        except (OSError, ValueError):
            return None
        part = self.folder / f"{number}.part"
        whole = bool(note.get("whole"))
        offset = note["length"] if whole else part.stat().st_size if part.exists() else 0
        return Upload(number, note["node"], note["length"], note["metadata"], offset, whole)

    def _note(self, number: str, note: Mapping[str, Any]) -> None:
        write_whole(self.folder / f"{number}.json", json.dumps(note).encode(), OWNER_ONLY)
