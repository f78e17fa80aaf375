"""What was seen during a soak: one sample a second, and what was done when. All of the verdict is computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SoakSample:
    """One reading.

    Attributes:
        at_s: since the start of the soak.
        pid: of the agent; another one after it was started again. 0 while none runs.
        rss_bytes, fds, threads: of the agent.
        processed: frames with a result since that agent's start, by camera.
        age_p95_ms: of its last interval; None where it had no result.
        recorded: reports that the recorder has stored.
    """

    at_s: float
    pid: int
    rss_bytes: int
    fds: int
    threads: int
    processed: Mapping[str, int] = field(default_factory=dict)
    age_p95_ms: float | None = None
    recorded: int | None = None


@dataclass(frozen=True, slots=True)
class Injected:
    """One thing that was broken, and mended.

    Attributes:
        name: of the injection.
        began_s, ended_s: since the start of the soak.
        recovered_s: how long after the end every camera had results again from an agent that runs; None where it never had.
        note: what could not be done as planned.
        may_lose: causes of declared loss that it explains.
    """

    name: str
    began_s: float
    ended_s: float
    recovered_s: float | None = None
    note: str = ""
    may_lose: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LedgerBalance:
    """What the recorder has of what the agent numbered.

    Attributes:
        stored: reports, each once.
        holes: numbers that are neither stored nor declared as lost.
        declared: numbers that the device declared as lost, by cause.
        left: reports that were still on the device at the end.
    """

    stored: int
    holes: int
    declared: Mapping[str, int]
    left: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole soak.

    Attributes:
        cameras: their names.
        samples: in the order of time.
        injected: likewise.
        unplanned_ends: how often the agent ended without being told to, with its exit code.
        exit_code: of the agent at the end; None where it had to be killed.
        ledger: None where no recorder ran.
        left_out: injections that this machine cannot do, and why.
        asked: injections that were asked for by name.
    """

    cameras: Sequence[str]
    samples: Sequence[SoakSample]
    injected: Sequence[Injected] = ()
    unplanned_ends: Sequence[str] = ()
    exit_code: int | None = 0
    ledger: LedgerBalance | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    asked: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything, for a file that can be judged again."""
        return asdict(self)

    def lives(self) -> list[list[SoakSample]]:
        """Return the samples of each agent process, in the order of time."""
        found: list[list[SoakSample]] = []
        for sample in self.samples:
            if not sample.pid:
                continue
            if not found or found[-1][-1].pid != sample.pid:
                found.append([])
            found[-1].append(sample)
        return found
