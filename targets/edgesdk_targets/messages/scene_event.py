"""What `data` of an event holds that a scene's rule tells: something in the picture began, changed, ended or happened."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesdk_targets.messages.envelope import Count, JsonObject, Part, ShortText, Timestamp, Token, schema_field


class SceneEventData(Part):
    """One message of an event's life; the name of the event is `scene_` and the rule's kind.

    Attributes:
        id: the same from `new` to `end`, and used for nothing else, also after a restart.
        rule: the rule's name; empty of a summary.
        kind: `object`, `crossing`, `occupancy`, `queue`, `dwell`, `label` or `summary`; readers let others pass.
        phase: `new`, `update` and `end` of what lasts; `once` of what is over when it is seen.
        frame: the picture that shows it, by the camera's own count.
        started_at: when it began; `occurred_at`: when the picture was taken that tells of this.
        duration_s: how long it lasts so far; of a film in the film's seconds.
        before: what was told of it the last time; null the first time.
        after: what is so now; its fields belong to the kind.
        held_back: how many messages of the rule were not told since the start, as there may be only so many a minute.
        snapshot, clip: the ids of its picture and of the clip around it, where they are kept; a clip is there once it is
            told of by `clip_kept`, and the command `upload` has it sent.
    """

    schema_id: str = schema_field("scene-event")
    id: Token
    rule: ShortText = ""
    kind: Token
    phase: Literal["new", "update", "end", "once"]
    frame: Count
    started_at: Timestamp
    occurred_at: Timestamp
    duration_s: Annotated[float, Field(ge=0)] = 0.0
    before: JsonObject | None = None
    after: JsonObject
    held_back: Count = 0
    snapshot: ShortText = ""
    clip: ShortText = ""
