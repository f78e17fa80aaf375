"""What a storm was to be, and what a record shows of it afterwards.

What was produced is known without asking agent, broker or recorder: the camera numbers its frames from 0 at each start of
the agent, and every frame is reported. So the frames of one device, in the order of its reports, go up by one, or begin
again at 0; and a frame with the time of its capture is reported once.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgesdk.fleet.store.records import Records
from edgesdk_testkit.frame_account import frame_count


@dataclass(frozen=True, slots=True)
class StormPlan:
    """One storm.

    Attributes:
        acknowledge: who frees a report on the device: the `collector`, or, as a control, the `broker`.
        fps: reports a second.
    """

    broker: str
    seed: int
    kills: int = 20
    within_s: float = 20.0
    acknowledge: Literal["collector", "broker"] = "collector"
    fps: int = 30


@dataclass(slots=True)
class StormOutcome:
    """What was found afterwards; nothing is lost where `lost` is 0.

    Attributes:
        kills: by part.
        rows: records of results in the store; duplicate_rows: of these, frames that are there under another number too.
        lives: starts of the agent of which something is stored.
        missing_frames: frames of which a later one of the same life is stored.
        missing_numbers: of the device's sequence below the highest stored, neither stored nor declared as gone.
        lost_numbers: that the device declared as lost.
        left: reports in the agent when it ended.
    """

    plan: StormPlan
    kills: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    rows: int = 0
    duplicate_rows: int = 0
    lives: int = 0
    missing_frames: int = 0
    missing_numbers: int = 0
    lost_numbers: int = 0
    left: int = -1

    @property
    def lost(self) -> int:
        """Reports that are lost, at least: one that is lacks its number, and mostly its frame too."""
        return max(self.missing_frames, self.missing_numbers + self.lost_numbers)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "lost": self.lost}


def rows(db: Path) -> int:
    """Return how many records were ever stored."""
    with _reading(db) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()[0])


def has_caught_up(db: Path, since_ms: int, *, complete: bool) -> bool:
    """Tell whether a result of after `since_ms` is stored.

    Before that a record that misses nothing proves nothing: nobody has heard of the agent what it still holds.

    Args:
        complete: and no number below the highest is missing.
    """
    with _reading(db) as connection:
        heard = connection.execute(
            "SELECT 1 FROM records WHERE kind = 1 AND at_ms >= ? LIMIT 1", (since_ms,)
        ).fetchone()
    if heard is None or not complete:
        return heard is not None
    with Records(db) as held:
        return not any(node["missing"] for node in held.nodes())


def count_rows(db: Path, outcome: StormOutcome) -> StormOutcome:
    """Count what a record holds, and what it does not, into `outcome`."""
    with _reading(db) as connection:
        for (stream,) in connection.execute("SELECT DISTINCT stream FROM records").fetchall():
            _count_numbers(connection, stream, outcome)
            _count_frames(connection, stream, outcome)
    return outcome


def _count_numbers(connection: sqlite3.Connection, stream: int, outcome: StormOutcome) -> None:
    # Counted from the rows alone, not from what the recorder noted of them.
    here = {row[0] for row in connection.execute("SELECT seq FROM records WHERE stream = ?", (stream,))}
    declared = set[int]()
    for first, last, reports in connection.execute("SELECT first, last, reports FROM gaps WHERE stream = ?", (stream,)):
        declared |= set(range(first, last + 1))
        outcome.lost_numbers += sum(json.loads(reports).values())
    outcome.missing_numbers += len(set(range(1, max(here) + 1)) - here - declared)


def _count_frames(connection: sqlite3.Connection, stream: int, outcome: StormOutcome) -> None:
    frames = connection.execute(
        "SELECT json_extract(body, '$.frame'), json_extract(body, '$.captured_at') FROM records"
        " WHERE kind = 1 AND stream = ? ORDER BY seq",
        (stream,),
    )
    found = frame_count(frames)
    outcome.rows += found.rows
    outcome.duplicate_rows += found.twice
    outcome.lives += found.lives
    outcome.missing_frames += found.missing


def _reading(db: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True))
