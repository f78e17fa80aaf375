"""A process of its own in which a release is proven: what crashes, hangs or takes too much there ends nothing here."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.child_watch import Ending, last_message, watch
from edgesdk_targets.errors import BundleError, DeviceError


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
        DeviceError: it was ended by `stopping`, which says nothing against the release.
    """
    until = time.monotonic() + limits.longest_s
    ending = watch(child, folder, lambda: 0.0 if stopping.is_set() else until, keep_free_bytes=limits.keep_free_bytes)
    if stopping.is_set():
        raise DeviceError(f"The agent stops; {what} begins anew with its next start.")
    if ending is Ending.TOO_LONG:
        raise refusal(f"Its {what} was not over after {limits.longest_s:g} s.")
    if ending is Ending.TOO_MUCH_MEMORY:
        raise refusal(f"Its {what} left too little memory to what runs.")
    code = child.returncode
    if code < 0:
        raise refusal(f"It crashed with signal {-code} in its {what}.")
    if code:
        said = last_message(folder) or f"it ended with code {code}"
        raise refusal(f"Its {what} is not met: {said[:300]}")
