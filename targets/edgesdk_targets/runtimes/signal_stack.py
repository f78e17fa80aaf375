"""The stack on which a thread takes signals, kept from a library that loses it.

OpenVINO's plugin for processors gives the thread that loads it a stack of its own for signals, and takes it back when it is
unloaded. Where two are loaded and the first is unloaded first, it gives the thread back the first one's, which is gone (seen
in 2026.4). Python's handlers run on that stack: the next Ctrl-C or SIGTERM, however much later, ends the program at once and
without a word, in place of the orderly end. The plugin unloads well where its stack is not the thread's.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SignalStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2) on Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> SignalStack:
    """Return this thread's stack for signals; its flags say where it has none (Linux only)."""
    found = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Leave this thread the stack for signals that it had before the body; elsewhere than on Linux do nothing."""
    if sys.platform != "linux":
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
