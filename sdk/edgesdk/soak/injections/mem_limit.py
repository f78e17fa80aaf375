"""A device whose memory is used up: the agent may not take any more of it than it has.

Its address space is limited (RLIMIT_AS) to what it has and 32 MB, from outside: what asks for more is refused, in Python a
MemoryError and in a runtime whatever it makes of that.
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

from edgesdk.soak.field import Field

_LEFT_BYTES = 32 << 20


class MemLimit:
    """Hardly any allocation is granted while it lasts."""

    name = "mem-limit"
    lasts_s = 10.0
    may_end_agent = True
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        pid = field.agent.pid
        with contextlib.suppress(OSError, ValueError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
            resource.prlimit(pid, resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + _LEFT_BYTES, hard))

    def end(self, field: Field) -> None:
        pid = field.agent.pid
        with contextlib.suppress(ProcessLookupError, ValueError):
            if pid:
                hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
                resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
