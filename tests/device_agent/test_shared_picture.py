"""The memory in which pictures lie for another process."""

from __future__ import annotations

import fcntl
import os

import numpy as np
import pytest

from edgesdk_agent.delivery.picture_memory import SharedPicture, SharedView


def test_it_may_grow_from_either_end_and_nobody_can_make_it_smaller() -> None:
    """A process that reads what was cut off under it is ended by SIGBUS."""
    shared = SharedPicture()
    fd = shared.open()
    try:
        held = shared.hold(np.full((4, 6, 3), 1, np.uint8))
        for less in (0, held.nbytes - 1):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, less)
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        larger = np.full((400, 600, 3), 2, np.uint8)
        SharedView(fd, writable=True).put(larger, None)
        assert np.array_equal(shared.seen(larger.shape, "|u1"), larger)
        largest = np.full((800, 600, 3), 3, np.uint8)
        assert np.array_equal(shared.hold(largest), largest)
        assert (held[-1] == 3).all()  # the same memory, still there
    finally:
        shared.close()
