"""A process that stands back: it gets the processor only while nobody else wants it, and one core of it at a time.

Imported before anything that starts threads, and needs nothing but Python's own modules.
"""

from __future__ import annotations

import os
from contextlib import suppress

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TBB_NUM_THREADS")


def stand_back() -> None:
    """Make this process one of the lowest priority; what the system does not let it change stays as it is."""
    for name in _THREADS:
        os.environ[name] = "1"
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError, AttributeError):  # Linux alone has it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
