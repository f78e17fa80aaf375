"""A scene's event as the body of a message."""

from __future__ import annotations

from pydantic import JsonValue

from edgesdk_agent.events.event import SceneEvent
from edgesdk_agent.link.presence import utc
from edgesdk_targets.messages.scene_event import SceneEventData


def event_text(event: SceneEvent) -> str:
    """Return an event as one line for people: the rule, and what is so now."""
    values = [f"{name} {value}" for name, value in event.after.items() if isinstance(value, (str, int, float))]
    phase = "" if event.phase == "once" else f" {event.phase}"
    return f"{event.rule or event.kind}{phase}: {', '.join(values)}"


def event_data(event: SceneEvent) -> dict[str, JsonValue]:
    """Return what `data` of the message holds."""
    body = SceneEventData(
        id=event.id,
        rule=event.rule,
        kind=event.kind,
        phase=event.phase,
        frame=event.frame,
        started_at=utc(event.started_at),
        occurred_at=utc(event.occurred_at),
        duration_s=event.duration_s,
        before=None if event.before is None else {**event.before},
        after={**event.after},
        held_back=event.held_back,
        snapshot=event.snapshot,
        clip=event.clip,
    )
    data: dict[str, JsonValue] = body.model_dump(mode="json", by_alias=True)
    return data
