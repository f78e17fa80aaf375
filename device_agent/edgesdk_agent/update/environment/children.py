"""Programs of an environment as processes of their own, with limits, and without what this process was told."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesdk_agent.update.proving_child import ChildLimits, await_proof
from edgesdk_targets.child_watch import last_message, put_last, start_program
from edgesdk_targets.errors import BundleError, DeviceError
from edgesdk_targets.whole_file import disk_errors

_TRIED_AGAIN = "It is tried again."
_HINT = "Make the release anew, for this device, with another content."


class EnvironmentFailed(BundleError):
    """A release of the agent does not come to a program that works here."""

    code = "environment_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=_HINT)


def run_child(
    what: str, words: Sequence[str | Path], scratch: Path, *, limits: ChildLimits, stopping: threading.Event
) -> str:
    """Run a program to its end, and return the last line that it printed.

    Args:
        what: it does, for messages. scratch: where it may leave files, on the disk that is to be filled.

    Raises:
        EnvironmentFailed: it does not end well, or is not there. DeviceError: it was ended by `stopping`, or this device does not
            run it. NoSpace, InputError: the disk is full, or refuses.
    """
    with disk_errors(scratch), tempfile.TemporaryDirectory(prefix=".child-", dir=scratch) as temporary:
        folder = Path(temporary)
        try:
            child = start_program([str(word) for word in words], _environment(folder), folder=folder)
        except FileNotFoundError as error:
            raise EnvironmentFailed(f"{words[0]} cannot be started: {error.strerror or error}.") from error
        except OSError as error:
            raise DeviceError(f"{words[0]} cannot be started: {error.strerror or error}.", hint=_TRIED_AGAIN) from error
        put_last(child)
        await_proof(child, folder, what, EnvironmentFailed, limits=limits, stopping=stopping)
        return last_message(folder)


def _environment(scratch: Path) -> Mapping[str, str]:
    """Return the variables without those that would bring in packages, or settings of pip, from elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "EDGESDK_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "TMPDIR": str(scratch)}
