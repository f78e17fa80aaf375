"""Looks for garbage in circles less often, while a process reads messages by the thousand.

Each message is some forty objects that live until it is committed, and none of them forms a circle. Python counts them, and
looks through all that is alive after every seven hundred: a sixth of a collector's time, and pauses that grow with the fleet.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG_OBJECTS = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect young objects after fifty thousand, and never look again through what was there at the start."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
