"""A process of its own in which a release is proven: what crashes, hangs or takes too much there ends nothing here."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.child_watch import Ending, last_message, watch
from edgesdk_targets.errors import BundleError, DeviceError, NoSpace

# What is left of a disk where nothing can be written any more.
_FULL_BYTES = 8 << 20
_SAY_FULL = ("No space left", "disk is full")


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What the child may take: time, with an engine's build; and how much memory it must leave to what runs."""

    longest_s: float = 1800.0
    keep_free_bytes: int = 64 << 20


def await_proof(
    child: subprocess.Popen[bytes],
    folder: Path,
    what: str,
    refusal: Callable[[str], BundleError],
    *,
    limits: ChildLimits,
    stopping: threading.Event,
) -> None:
    """Wait until a child has ended well.

    Args:
        folder: where it was started; what: it proves, for messages.
        refusal: returns what is raised where it does not end well, by a message.
        stopping: ends the child.

    Raises:
        BundleError: what `refusal` returns.
        DeviceError, NoSpace: it was ended by `stopping`, or by this device's want of memory or room, which says nothing against
            the release.
    """
    until = time.monotonic() + limits.longest_s
    ending = watch(child, folder, lambda: 0.0 if stopping.is_set() else until, keep_free_bytes=limits.keep_free_bytes)
    if stopping.is_set():
        raise DeviceError(f"The agent stops; {what} begins anew with its next start.")
    if ending is Ending.TOO_LONG:
        raise refusal(f"Its {what} was not over after {limits.longest_s:g} s.")
    if ending is Ending.TOO_MUCH_MEMORY:
        raise DeviceError(f"There is too little memory for its {what} beside what runs.", hint="Free some memory.")
    code = child.returncode
    if code == -signal.SIGKILL:
        # The kernel's choice where memory is short; no release kills itself so.
        raise DeviceError(f"Its {what} was killed, as when memory is short.", hint="Free some memory.")
    if code < 0:
        raise refusal(f"It crashed with signal {-code} in its {what}.")
    if code:
        said = last_message(folder) or f"it ended with code {code}"
        if _is_full(folder) or any(word in said for word in _SAY_FULL):
            raise NoSpace(f"The disk became full in its {what}.", hint="Free some space.")
        raise refusal(f"Its {what} is not met: {said[:300]}")


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < _FULL_BYTES
