"""Shorter turns of Python's threads, while one of them commits what another one reads.

Whoever waits for the disk or a database gives its turn away, and asks for it again when the answer is there: dozens of times
for a commit. Python lets a thread that is busy go on for five milliseconds before it hands over, and one that reads five
thousand messages a second is always busy: a commit of ten milliseconds then takes a few hundred.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TURN_S = 0.0005


@contextmanager
def short_turns() -> Iterator[None]:
    """Let no thread go on for longer than half a millisecond while another one waits."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
