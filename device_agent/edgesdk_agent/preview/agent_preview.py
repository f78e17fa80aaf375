"""From the agent's configuration to the live pictures of its page."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.preview.live_picture import LivePictures
from edgesdk_agent.preview.outline import Outline


def live_pictures(config: AgentConfig, cameras: Sequence[str]) -> LivePictures | None:
    """Return what the page shows, or None where there is no page."""
    section = config.preview
    if section.listen is None:
        return None
    return LivePictures(cameras, fps=section.fps, width=section.width, outlines=_outlines(config, cameras))


def _outlines(config: AgentConfig, cameras: Sequence[str]) -> dict[str, list[Outline]]:
    """Return each camera's zones and lines; of those in pixels the preview does not know where they are."""
    if config.events is None:
        return {}
    drawn: dict[str, list[Outline]] = {name: [] for name in cameras}
    places = [(zone, zone.polygon, True) for zone in config.events.zones]
    for place, corners, closed in [*places, *((line, line.points, False) for line in config.events.lines)]:
        if place.coordinates == "relative":
            for name in place.cameras or cameras:
                drawn.get(name, []).append(Outline(place.name, corners, closed))
    return drawn
