"""What a running agent shows to a shadow run."""

from __future__ import annotations

from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.facts_reader import FactSources, FactsReader
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.vitals import VitalsReader


class ShownAgent:
    """An agent's pipeline and model, and how its device is.

    Args:
        pictures: whether results carry their pictures anyway.
    """

    def __init__(self, hands: AgentSteering, pipeline: Pipeline, *, pictures: bool) -> None:
        self._hands, self._pipeline, self._pictures = hands, pipeline, pictures
        self._reader: FactsReader | None = None

    @property
    def digest(self) -> str:
        return self._hands.running.model.digest

    @property
    def variant(self) -> str:
        return self._hands.running.model.variant.id

    def keep_images(self, wanted: bool) -> None:
        """Let results carry their pictures; a run begins or ends by that."""
        self._pipeline.keep_images(wanted or self._pictures)
        self._reader = self._opened() if wanted else None

    def facts(self) -> Facts:
        """Return how the device is, and how old results were since the last time."""
        reader = self._reader = self._reader or self._opened()
        return reader.read()

    def _opened(self) -> FactsReader:
        pipeline = self._pipeline
        sources = FactSources(
            totals=pipeline.stats, recent=pipeline.span().read, vitals=VitalsReader().read, cameras={}
        )
        return FactsReader(sources)
