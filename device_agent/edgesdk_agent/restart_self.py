"""Start this program again in its own place: same process, same arguments, nothing of the old run left."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def restart_self() -> NoReturn:
    """Replace the process by a new run of the same command; a service manager sees no end."""
    sys.stdout.flush()
    sys.stderr.flush()
    # What Python was started with, `-m` and its own options included; `sys.argv` has lost these.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  (no shell is wanted)
