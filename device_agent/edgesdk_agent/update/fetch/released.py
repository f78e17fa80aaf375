"""Which bundles a fleet has released: its TUF repository, asked by the device; `tuf` only in this file of the device's side.

What is trusted there begins with the root that lies on the device, and each newer root is signed as the one before asks for.
Nobody but the repository's own keys can take a device back to older metadata, mix it, or cut it; who holds the server alone can
hold a device up, until what it shows expires. Where the device's clock is not to be trusted nothing expires: a clock at 1970, or
one that somebody set forward, locks no device out.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgesdk_agent.update.fetch.places import RefusedByServer, ServerPlace
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.errors import BundleError, EdgeError, FetchFailed, InputError, MissingExtra, NoSpace
from edgesdk_targets.whole_file import sync_folder

_FOLDER = "metadata"
# More than any of its files may have by the client's own limits.
_MOST_BYTES = 5_000_001


class NotReleased(BundleError):
    """The repository does not list this bundle, or with another content."""

    code = "not_released"


class BadRepository(BundleError):
    """The repository's metadata is not signed as it must be, or older than what was seen before."""

    code = "bad_repository"


class Released:
    """One fleet's repository.

    Args:
        root: the file of the first root that is trusted.
        url: of the folder that holds `metadata`.
        kept: where the newest metadata is kept.
        clock_trusted: whether the wall clock can be believed.
        authority: as for `ServerPlace`.
    """

    def __init__(
        self,
        root: Path,
        url: str,
        kept: Path,
        *,
        clock_trusted: Callable[[], bool],
        authority: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._root, self._url, self._kept = root, url.rstrip("/"), kept
        self._clock_trusted, self._authority, self._now = clock_trusted, authority, now

    def check(self, digest: str, bundle: Path | None = None) -> None:
        """Refuse what is not released.

        Args:
            digest: of the bundle, `sha256:…`; bundle: its file, once it is there.

        Raises:
            NotReleased, BadRepository: see there.
            FetchFailed: the repository cannot be asked now, or what it shows has expired.
            InputError: the root's file cannot be read, or the disk refuses.
            NoSpace: the disk is full.
            MissingExtra: tuf is not installed.
        """
        try:
            from tuf.api.exceptions import (
                DownloadError,
                ExpiredMetadataError,
                LengthOrHashMismatchError,
                RepositoryError,
            )
        except ImportError as error:
            raise MissingExtra("tuf", "tuf") from error
        try:
            target = self._client().get_targetinfo(f"{digest.partition(':')[2]}{SUFFIX}")
            self._make_lasting()
            if target is None:
                raise NotReleased(f"The fleet has not released {digest[:19]}….", hint="`edgesdk bundle tuf release`.")
            if bundle is not None:
                with bundle.open("rb") as content:
                    target.verify_length_and_hashes(content)
        except ExpiredMetadataError as error:
            raise FetchFailed(
                f"The fleet's repository shows only what has expired: {error}.", hint="`edgesdk bundle tuf renew`."
            ) from error
        except LengthOrHashMismatchError as error:
            if bundle is not None:
                raise NotReleased("The file is another one than was released.", hint="Publish it again.") from error
            raise BadRepository(f"The fleet's repository: {error}.", hint="Is it whole?") from error
        except RepositoryError as error:
            raise BadRepository(f"The fleet's repository: {error}.", hint="Who has the server?") from error
        except DownloadError as error:
            raise FetchFailed(f"The fleet's repository cannot be read: {error}.", hint="It is tried again.") from error
        except OSError as error:
            raise _by_the_disk(self._kept, error) from error

    def _client(self) -> Any:
        from tuf.ngclient import Updater

        try:
            root = self._root.read_bytes()
        except OSError as error:
            raise InputError(
                f"update.released.root: {self._root} cannot be read: {error.strerror or error}.",
                hint="Bring the fleet's root to this device.",
            ) from error
        self._kept.mkdir(parents=True, exist_ok=True)
        self._remove_half_written()
        client = Updater(str(self._kept), f"{self._url}/{_FOLDER}/", fetcher=_fetcher(self._authority), bootstrap=root)
        # The client takes the clock as it is; there is no other way to tell it better.
        trusted = client._trusted_set  # noqa: SLF001
        trusted.reference_time = self._now() if self._clock_trusted() else datetime.min.replace(tzinfo=timezone.utc)
        return client

    def _make_lasting(self) -> None:
        """Sync what the client wrote: else a cut of the power could take a device back to older metadata."""
        for path in sorted(self._kept.rglob("*")):
            if path.is_dir():
                sync_folder(path)
            elif path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        sync_folder(self._kept)

    def _remove_half_written(self) -> None:
        """Remove what a cut of the power left empty or half written: it is fetched again, and a root begun anew from the first."""
        for path in sorted(self._kept.rglob("*.json")):
            try:
                json.loads(path.read_bytes())
            except (FileNotFoundError, ValueError):  # of a link, what it led to may be gone
                path.unlink()


def _by_the_disk(kept: Path, error: OSError) -> EdgeError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpace(f"The disk is full: {kept}.", hint="Free some space.")
    return InputError(f"{kept}: {error.strerror or error}.", hint="Check the disk.")


def _fetcher(authority: Path | None) -> Any:
    """Return how the client fetches: as bundles are fetched, with the same patience."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            try:
                yield ServerPlace(url, authority=authority).whole(_MOST_BYTES)
            except RefusedByServer as error:
                raise DownloadHTTPError(error.message, error.status) from error

    return Fetcher()
