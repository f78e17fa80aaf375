"""Which devices a rule or a silence is about."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Names = Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Subject:
    """A device, as scopes look at it."""

    node: str
    site: str = ""
    tags: AbstractSet[str] = frozenset()


class Scope(BaseModel):
    """A choice of devices: what is given must all hold, and of each list one is enough; an empty scope is all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: Names = ()
    sites: Names = ()
    tags: Names = ()

    def covers(self, subject: Subject) -> bool:
        """Tell whether a device is meant."""
        return (
            (not self.nodes or subject.node in self.nodes)
            and (not self.sites or subject.site in self.sites)
            and (not self.tags or not subject.tags.isdisjoint(self.tags))
        )
