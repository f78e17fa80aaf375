"""A candidate's golden set by the production path, in a process of its own: what crashes or hangs there ends nothing here.

A TensorRT engine is built there too, and lands in the cache that the candidate will load it from.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.update.proving_child import ChildLimits, await_proof
from edgesdk_targets.child_watch import start_child
from edgesdk_targets.errors import BundleError, EdgeError
from edgesdk_targets.whole_file import disk_errors

_HINT = "Mend the model, and offer it as a bundle with other content."


class GoldenFailed(BundleError):
    """The candidate does not give the answers that it was made with, or none at all."""

    code = "golden_failed"


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
        with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="edgesdk-golden-") as scratch:
            folder = Path(scratch)
            child = start_child(__name__, *words, folder=folder)
            await_proof(
                child, folder, "golden set", lambda why: GoldenFailed(why, hint=_HINT), limits=allowed, stopping=stop
            )

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
