"""Does the device do worse than before a change? A rule over two moments; it touches nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """How the device did at one moment.

    Attributes:
        processed: frames since the start.
        failed: what ended the pipeline, or an empty text.
        lost_cameras: those that failed.
        connected: to the broker; also true where there is none to connect to.
    """

    processed: int = 0
    failed: str = ""
    lost_cameras: frozenset[str] = frozenset()
    connected: bool = True


def worse(before: Mark, now: Mark, *, over: bool) -> str:
    """Say in words what is worse, or return an empty text.

    Args:
        before: when the change was made.
        over: the trial is at its end: what needs time to show has had it.
    """
    if now.failed:
        return f"the pipeline ended: {now.failed}"
    if lost := sorted(now.lost_cameras - before.lost_cameras):
        return f"{', '.join(lost)} failed"
    if over and before.processed and now.processed == before.processed:
        return "no frame was processed since"
    if over and before.connected and not now.connected:
        return "the broker is out of reach since"
    return ""
