"""What a slot holds, as its own file says: a bundle, and the agent that runs it where that is not the installed one.

A slot is named by the release that made it, and keeps beside it what it took over from the slot that ran. So a new bundle
goes on with the agent that is proven, a new agent with the bundle, and the way back is to both.
"""

from __future__ import annotations

from pydantic import Field

from edgesdk_agent.update.record import Release
from edgesdk_targets.agent_release.agent_release import Kind


class SlotContent(Release):
    """`slot.json`: the release that made the slot, flat, and what else is in it.

    Attributes:
        beside: of a slot that a bundle made the agent, None for the installed one; of a slot that an agent made the bundle.
        environment: the name of the agent's environment, which the launcher reads; empty for the installed agent.
    """

    beside: Release | None = None
    environment: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")

    @classmethod
    def of(cls, release: Release, beside: Release | None, environment: str) -> SlotContent:
        """Return what a slot holds by the release that makes it, and what it takes over."""
        return cls(**release.model_dump(), beside=beside, environment=environment)

    @property
    def release(self) -> Release:
        """What the slot is named by."""
        return Release(**{name: getattr(self, name) for name in Release.model_fields})

    @property
    def bundle(self) -> Release | None:
        """The bundle in it."""
        return self._of_kind("bundle")

    @property
    def agent(self) -> Release | None:
        """The agent in it; None where the installed one runs it."""
        return self._of_kind("agent")

    def _of_kind(self, kind: Kind) -> Release | None:
        return next((one for one in (self.release, self.beside) if one is not None and one.kind == kind), None)
