"""A camera that stands still: its server is stopped in the middle of a picture, the connection stays open."""

from __future__ import annotations

import signal

from edgesdk.soak.field import Field


class CameraFreeze:
    """SIGSTOP to the first camera's server, SIGCONT at the end."""

    name = "camera-freeze"
    lasts_s = 12.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        next(iter(field.cameras.values())).signal(signal.SIGSTOP)

    def end(self, field: Field) -> None:
        next(iter(field.cameras.values())).signal(signal.SIGCONT)
