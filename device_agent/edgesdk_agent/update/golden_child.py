"""A candidate's golden set by the production path, in a process of its own: what crashes or hangs there ends nothing here.

A TensorRT engine is built there too, and lands in the cache that the candidate will load it from.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.child_watch import Ending, last_message, start_child, watch
from edgesdk_targets.errors import BundleError, DeviceError, EdgeError

_HINT = "Mend the model, and offer it as a bundle with other content."


class GoldenFailed(BundleError):
    """The candidate does not give the answers that it was made with, or none at all."""

    code = "golden_failed"


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What the child may take: time, with an engine's build; and how much memory it must leave to what runs."""

    longest_s: float = 1800.0
    keep_free_bytes: int = 64 << 20


def golden_in_child(
    target: str | None,
    variant: str | None = None,
    *,
    limits: ChildLimits | None = None,
    stopping: threading.Event | None = None,
) -> Callable[[Path], None]:
    """Return what checks a bundle's golden set on this device, and raises GoldenFailed where it is not met.

    Args:
        stopping: ends the child; DeviceError is raised then, which says nothing against the bundle.
    """
    allowed, stop = limits or ChildLimits(), stopping or threading.Event()

    def check(bundle: Path) -> None:
        words = [str(bundle.absolute()), target or "", variant or ""]
        with tempfile.TemporaryDirectory(prefix="edgesdk-golden-") as scratch:
            folder = Path(scratch)
            child = start_child(__name__, *words, folder=folder)
            until = time.monotonic() + allowed.longest_s
            ending = watch(
                child, folder, lambda: 0.0 if stop.is_set() else until, keep_free_bytes=allowed.keep_free_bytes
            )
            if stop.is_set():
                raise DeviceError("The agent stops; the golden set begins anew with its next start.")
            if ending is Ending.TOO_LONG:
                raise GoldenFailed(f"Its golden set was not over after {allowed.longest_s:g} s.", hint=_HINT)
            if ending is Ending.TOO_MUCH_MEMORY:
                raise GoldenFailed("Its golden set left too little memory to what runs.", hint=_HINT)
            code = child.returncode
            if code < 0:
                raise GoldenFailed(f"It crashed with signal {-code} in its golden set.", hint=_HINT)
            if code:
                said = last_message(folder) or f"it ended with code {code}"
                raise GoldenFailed(f"Its golden set is not met: {said[:300]}", hint=_HINT)

    return check


def _main(bundle: Path, target: str, variant: str) -> int:
    """Check, and print one line that says what came of it."""
    from edgesdk_agent.verify import in_words, verify_bundle
    from edgesdk_targets.child_watch import behave_as_child

    behave_as_child()
    try:
        found = verify_bundle(bundle, target=target or None, variant=variant or None, every=False, threads=0)
    except EdgeError as error:
        print(error.message)  # noqa: T201  (the parent reads the last line)
        return 1
    print(in_words(found))  # noqa: T201
    return 0 if found["verdict"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), *sys.argv[2:4]))
