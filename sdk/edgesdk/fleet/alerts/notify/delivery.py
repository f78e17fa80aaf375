"""What every channel has in common: it is handed a notice, and either delivers it or says why not and whether to try again."""

from __future__ import annotations

from typing import Protocol

from edgesdk.fleet.alerts.notice import Notice
from edgesdk_targets.errors import LinkError


class NotDelivered(LinkError):
    """A notice could not be delivered.

    Attributes:
        again: whether time may mend it.
        after_s: how long the other side wishes us to wait.
    """

    code = "not_delivered"

    def __init__(self, message: str, *, hint: str = "", again: bool = True, after_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.again = again
        self.after_s = after_s


class Channel(Protocol):
    """One way to tell people; `send` returns when the other side has taken the notice, or raises NotDelivered."""

    @property
    def name(self) -> str: ...

    def send(self, notice: Notice) -> None: ...
