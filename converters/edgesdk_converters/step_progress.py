"""What a running step says of itself, to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

Listener: TypeAlias = Callable[[str], None]

_listener: ContextVar[Listener | None] = ContextVar("edgesdk_step_listener", default=None)


def report(what: str) -> None:
    """Say what the step does now, e.g. `litert_from_torch: lowering`; nobody listening is fine."""
    listener = _listener.get()
    if listener is not None:
        listener(what)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Give the body's reports to a listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
