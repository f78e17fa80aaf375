"""Which events have their pictures sent by themselves, as `clips.upload` says."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_agent.config.clips import SendSection, UploadSection
from edgesdk_agent.config.events import EventsSection
from edgesdk_agent.events.event import SceneEvent
from edgesdk_targets.errors import InputError


class SendRules:
    """Decide for each event.

    Args:
        section: where pictures are sent, and which.
        events: whose rules and zones it may name.

    Raises:
        InputError: it names a rule or a zone that there is not, so that it would never send anything.
    """

    def __init__(self, section: UploadSection, events: EventsSection | None) -> None:
        self._every_clip = section.url is not None and section.sends_every_clip
        self._send = section.send if section.url is not None else ()
        rules = () if events is None else tuple(rule.name for rule in events.rules)
        zones = () if events is None else tuple(zone.name for zone in events.zones)
        for one in self._send:
            _check_names("rules", one.rules, rules)
            _check_names("zones", one.zones, zones)

    def sends_clip(self, event: SceneEvent) -> bool:
        """Say whether the event's clip goes by itself."""
        return self._every_clip or any(_fits(one, event) for one in self._send)

    def sends_picture(self, event: SceneEvent) -> bool:
        """Say whether the event's snapshot goes by itself."""
        return any(one.pictures and _fits(one, event) for one in self._send)


def _fits(section: SendSection, event: SceneEvent) -> bool:
    after = event.after
    within = after.get("zones", [after.get("zone")])
    zones = within if isinstance(within, list) else [within]
    return (
        _allows(section.rules, event.rule)
        and _allows(section.kinds, event.kind)
        and _allows(section.cameras, event.camera)
        and _allows(section.labels, after.get("label"))
        and (not section.zones or any(zone in section.zones for zone in zones))
    )


def _allows(wanted: Sequence[str], found: object) -> bool:
    return not wanted or found in wanted


def _check_names(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    unknown = next((name for name in wanted if name not in known), None)
    if unknown is not None:
        message = f"clips.upload.send names {unknown!r}, which is none of the {what} of events."
        raise InputError(message, hint=f"There is: {', '.join(known) or 'none'}.")
