"""From an address to what can be fetched there: which release it is, and its chunks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from edgesdk_agent.update.fetch.bandwidth import Bandwidth
from edgesdk_agent.update.fetch.download import Downloaded, download
from edgesdk_agent.update.fetch.places import LocalPlace, Place, ServerPlace
from edgesdk_agent.update.record import Release
from edgesdk_targets.bundle.archive import Limits
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import FetchFailed, InputError, TooLarge, Unsigned

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Sources:
    """Where this device's releases come from.

    Args:
        accept: refuses what nobody trusted has signed; see `open_bundle`.
        bytes_per_s: of a server; None for as many as come.
        open_now: says why nothing may come at this hour; empty where it may.
        stopping: ends a download between two blocks.
        authority: a PEM file of whom to trust as a server; the system's authorities unless given.
        largest_bytes: that a bundle file may have.
        held: returns the files of this device that may hold some of what is fetched.

    Attributes:
        last: what the last download brought.
    """

    def __init__(
        self,
        accept: Callable[[Path, str, bytes | None], object],
        *,
        bytes_per_s: int | None = None,
        open_now: Callable[[], str] = lambda: "",
        stopping: threading.Event | None = None,
        authority: Path | None = None,
        largest_bytes: int = Limits().total_bytes,
        held: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self._accept, self._open_now, self._largest_bytes = accept, open_now, largest_bytes
        self._stopping, self._authority = stopping or threading.Event(), authority
        self._held = held
        self.last = Downloaded(0, 0)
        self._bandwidth = Bandwidth(bytes_per_s, wait=self._stopping.wait)

    def release_at(self, address: str) -> Release:
        """Return which release an address offers, as far as it says so itself; nothing of it is proven.

        Raises:
            InputError: it is no address.
            FetchFailed: it cannot be reached now.
            BundleError: there is no bundle, none that is signed, or a larger one than a device takes.
        """
        chunks = ChunkList.from_bytes(self._place(address).chunk_list())
        if not chunks.release:
            raise Unsigned(
                f"{chunks.name} {chunks.version} is not signed.",
                hint="`edgesdk bundle sign`, then `edgesdk bundle chunks`.",
            )
        if chunks.size > self._largest_bytes:
            # It says so itself, and a disk is not to be filled before that is seen to be true.
            raise TooLarge(f"It has {chunks.size} bytes; {self._largest_bytes} are taken.", hint="Make it smaller.")
        return Release(
            id=chunks.bundle,
            kind=chunks.kind,
            name=chunks.name,
            version=chunks.version,
            number=chunks.release,
            size=chunks.size,
        )

    def __call__(self, release: Release, address: str, into: Path) -> None:
        """Bring a release to `into`; see `download`."""
        self._check_hour()
        place = self._place(address, self._check_hour)
        self.last = download(place, release, into, held=self._held(), told=lambda _there, _of: self._check_hour())

    def _check_hour(self) -> None:
        if self._stopping.is_set():
            raise FetchFailed("The agent stops.", hint="It goes on with the next start.")
        if closed := self._open_now():
            raise FetchFailed(closed, hint="It goes on then.")

    def _place(self, address: str, go_on: Callable[[], object] = lambda: None) -> Place:
        if _SCHEME.match(address):
            return ServerPlace(
                address, bandwidth=self._bandwidth, stopping=self._stopping, go_on=go_on, authority=self._authority
            )
        path = Path(address)
        if not path.is_absolute():
            raise InputError(f"{address!r} is no address of a bundle.", hint="Give https://…, or the whole path.")
        return LocalPlace(path, lambda digest, signature: self._accept(path, digest, signature))
