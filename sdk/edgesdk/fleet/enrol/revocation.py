"""Take back a device's identity: in the store, in the list that the broker reads, and at the broker itself."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from sqlalchemy import Engine

from edgesdk.fleet.enrol.authority import Authority, Revoked
from edgesdk.fleet.store import enrolments
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node
from edgesdk_targets.whole_file import disk_errors, write_whole

_RELOAD_S = 30.0


def revoke(
    engine: Engine,
    authority: Authority,
    node: str,
    reason: str,
    *,
    copies: tuple[Path, ...] = (),
    also: Sequence[Revoked] = (),
    now: float | None = None,
) -> list[str]:
    """Take back everything by which a device could come, and return the serial numbers of its certificates.

    The list of revoked ones is written anew; the broker reads it when it is told to (SIGHUP), and from then on refuses.
    Who is connected stays until then; see `disconnect`.

    Args:
        copies: further places of the list, such as the broker's own folder.
        also: certificates that the store does not know, for this writing of the list alone.

    Raises:
        InputError: there is no such device, or a place cannot be written.
    """
    serials = revoke_in_store(engine, node, reason, now=now)
    write_list(engine, authority, copies=copies, also=also, now=now)
    return serials


def revoke_in_store(engine: Engine, node: str, reason: str, *, now: float | None = None) -> list[str]:
    """Do the first part of `revoke`: the store knows it, and no list says it yet. Raises InputError: no such device."""
    Node.parse(node)
    now_ms = int((time.time() if now is None else now) * 1000)
    with writing(engine) as connection:
        return enrolments.revoke_node(connection, node, reason, now_ms)


def write_list(
    engine: Engine,
    authority: Authority,
    *,
    copies: tuple[Path, ...] = (),
    also: Sequence[Revoked] = (),
    now: float | None = None,
) -> int:
    """Write the list of revoked certificates anew, and return how many stand in it."""
    now_ms = int((time.time() if now is None else now) * 1000)
    # Read and written by one at a time: who read first and wrote last would leave out what came between.
    with _one_at_a_time(authority.folder):
        with reading(engine) as connection:
            found = enrolments.revoked_certificates(connection, now_ms)
        known = [Revoked(serial, datetime.fromtimestamp(at_ms / 1000, timezone.utc)) for serial, at_ms in found]
        signed = authority.revocation_list([*known, *also])
        for place in (authority.folder / "crl.pem", *copies):
            write_whole(place, signed)
    return len(found)


def reload_broker(command: str) -> None:
    """Run the command by which the broker reads its list, such as `systemctl reload mosquitto`; no shell sees it.

    Raises:
        InputError: it cannot be run, or says that it failed.
    """
    hint = (
        "The device is taken back, but the broker does not know it yet. Such as --reload 'systemctl reload mosquitto'"
    )
    try:
        words = shlex.split(command)
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_RELOAD_S)
    except (ValueError, IndexError, OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"--reload: {command[:200]!r} cannot be run: {error}.", hint=hint) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-200:]
        raise InputError(f"--reload: {command[:200]!r} ended with {done.returncode}. {said}".rstrip(), hint=hint)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with disk_errors(folder):
        handle = os.open(folder / ".crl.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
