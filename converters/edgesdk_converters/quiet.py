"""Keep a framework's noise off the terminal, and keep it for `--debug`.

Rule: while a step runs, whatever its thread prints, and whatever native code writes to the process's descriptors 1
and 2, becomes DEBUG lines of the logger `edgesdk_converters.<step>`; warnings too. Other threads (a progress bar) still
reach the terminal. So `--json` on stdout stays one document, whatever is imported.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO, cast

_ONE_AT_A_TIME = threading.RLock()  # descriptors 1 and 2 belong to the process, not to a thread
_inside = threading.local()


class _OwnThreadOnly(io.TextIOBase):
    """Give one thread's writes to `inner`, everybody else's to `outer`."""

    def __init__(self, inner: TextIO, outer: TextIO) -> None:
        self._owner = threading.get_ident()
        self._inner = inner
        self._outer = outer

    def _stream(self) -> TextIO:
        return self._inner if threading.get_ident() == self._owner else self._outer

    def write(self, text: str, /) -> int:
        return self._stream().write(text)

    def flush(self) -> None:
        self._stream().flush()

    def isatty(self) -> bool:
        return self._stream().isatty()

    def fileno(self) -> int:
        return self._stream().fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed: a writable attribute
        return self._outer.encoding or "utf-8"


def _terminal(stream: TextIO, descriptor: int, stack: ExitStack) -> TextIO:
    """Return a stream that reaches where `stream` went before descriptors 1 and 2 were redirected."""
    try:
        if stream.fileno() != descriptor:
            return stream
    except (OSError, ValueError, AttributeError):  # a test's StringIO, or a closed stream
        return stream
    copy = os.fdopen(os.dup(descriptor), "w", encoding=stream.encoding, errors="replace", buffering=1)
    return stack.enter_context(copy)


def _redirect(descriptor: int, to: int, stack: ExitStack) -> None:
    """Point a descriptor elsewhere until the stack unwinds."""
    saved = os.dup(descriptor)
    os.dup2(to, descriptor)
    stack.callback(os.close, saved)
    stack.callback(os.dup2, saved, descriptor)


@contextmanager
def quiet(step: str) -> Iterator[None]:
    """Turn everything the body prints or warns into DEBUG lines of the logger `edgesdk_converters.<step>`."""
    if getattr(_inside, "on", False):  # a step that calls a step: the outer one already listens
        yield
        return
    logger = logging.getLogger(f"edgesdk_converters.{step}")
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as noise, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # a caller's "error" is about its own code, not about a framework's
        _inside.on = True
        level = logging.root.level  # some frameworks set it for everybody
        try:
            with _captured(noise.fileno()):
                yield
        finally:
            _inside.on = False
            logging.root.setLevel(level)
            noise.seek(0)
            lines = noise.read().decode("utf-8", "replace").splitlines()
            for line in [*lines, *(f"{w.category.__name__}: {w.message}" for w in caught)]:
                if line.strip():
                    logger.debug("%s", line.rstrip())


@contextmanager
def _captured(noise: int) -> Iterator[None]:
    with ExitStack() as stack:
        out, err = sys.stdout, sys.stderr
        for stream in (out, err):
            stream.flush()
        outer = (_terminal(out, 1, stack), _terminal(err, 2, stack))
        own = stack.enter_context(os.fdopen(os.dup(noise), "w", encoding="utf-8", errors="replace", buffering=1))
        _redirect(1, noise, stack)
        _redirect(2, noise, stack)
        sys.stdout = cast("TextIO", _OwnThreadOnly(own, outer[0]))
        sys.stderr = cast("TextIO", _OwnThreadOnly(own, outer[1]))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err
            for stream in (out, err):  # text buffered for descriptors 1 and 2 while they were redirected
                stream.flush()
