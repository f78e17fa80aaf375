"""The section `events`: zones, lines and rules on what the model sees."""

from __future__ import annotations

from edgesdk_agent.events.settings import SceneSettings


class EventsSection(SceneSettings):
    """What is to be told of the scenes before the cameras; see docs/events.md."""
