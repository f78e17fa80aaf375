"""What an injection is."""

from __future__ import annotations

from typing import Protocol

from edgesdk.soak.field import Field


class Injection(Protocol):
    """A fault of the field.

    Attributes:
        name: as the user asks for it.
        lasts_s: from its beginning to its end.
        may_end_agent: the agent may die of it, and is started again as a service manager would.
        may_lose: causes (`gap/1`) of declared loss that it explains; of every other cause none may be lost.
    """

    name: str
    lasts_s: float
    may_end_agent: bool
    may_lose: tuple[str, ...]

    def missing(self, field: Field) -> str:
        """Say why it cannot be done here; empty where it can."""
        ...

    def begin(self, field: Field) -> None:
        """Break it."""
        ...

    def end(self, field: Field) -> None:
        """Mend it; called also when the soak is broken off."""
        ...
