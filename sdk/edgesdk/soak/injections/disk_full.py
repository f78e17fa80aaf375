"""A disk without room: no file of the agent may grow any more, so that every write beyond fails as on a full card.

The limit of a file's size (RLIMIT_FSIZE) is set to nothing from outside: it needs no file system of its own and no rights.
Python ignores the signal that comes with it, so that writes fail with an error.
"""

from __future__ import annotations

import contextlib
import resource

from edgesdk.soak.field import Field
from edgesdk_targets.messages.gap import GapCause


class DiskFull:
    """No byte may be written to a file while it lasts."""

    name = "disk-full"
    lasts_s = 10.0
    may_end_agent = False
    # What does not fit into memory either is dropped, the oldest first.
    may_lose: tuple[str, ...] = (GapCause.BUDGET.value,)

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        _limit(field.agent.pid, 0)

    def end(self, field: Field) -> None:
        _limit(field.agent.pid, resource.RLIM_INFINITY)


def _limit(pid: int, size_bytes: int) -> None:
    # Only the soft limit, which may be raised again; a process that just ended needs neither.
    with contextlib.suppress(ProcessLookupError, ValueError):
        if pid:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(
                pid, resource.RLIMIT_FSIZE, (hard if size_bytes == resource.RLIM_INFINITY else size_bytes, hard)
            )
