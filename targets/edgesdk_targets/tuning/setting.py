"""One way to run a bundle here, and what it was measured to take."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from edgesdk_targets.session import Spin
from edgesdk_targets.target import Precision, Runtime

if TYPE_CHECKING:
    from edgesdk_targets.model import Model

# Cores kept busy by other processes: less than this is within what the kernel's count may be wrong by.
AT_WORK = 0.25
# What can hold its threads to cores.
PINS = frozenset({Runtime.OPENVINO})


class Hint(str, Enum):
    """What a model is run for.

    LATENCY: the quickest answer to one picture.
    THROUGHPUT: the most pictures a second, each a little later.
    AGE: young answers for a live camera, without cores that bring next to nothing beside a frame's own time.
    """

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    AGE = "age"

    def __str__(self) -> str:
        return self.value

    @property
    def spin(self) -> Spin:
        """How a runtime's threads are to wait for what is run so; see `SessionOptions`."""
        return _SPIN[self]


_SPIN: dict[Hint, Spin] = {Hint.LATENCY: "always", Hint.THROUGHPUT: "within", Hint.AGE: "never"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A variant with the session's options.

    Attributes:
        threads: of one inference; 0 are as many as the runtime chooses.
        streams: inferences at the same time.
        pin: the threads are held to cores.
    """

    variant: str
    runtime: Runtime
    precision: Precision
    threads: int
    streams: int
    pin: bool = False

    def __str__(self) -> str:
        return f"{self.variant}, {self.work}"

    @property
    def work(self) -> str:
        """Streams and threads, for people."""
        threads = (
            f"{self.threads} thread{'s' if self.threads != 1 else ''}" if self.threads else "its runtime's threads"
        )
        each = f"{self.streams} streams of {threads}" if self.streams > 1 else threads
        return f"{each}{', pinned' if self.pin else ''}"

    @classmethod
    def of(cls, model: Model) -> Setting:
        """Return how a model runs that is loaded."""
        variant, runtime, options = model.variant, model.runtime, model.options
        streams, pin = model.session.streams, options.pin and runtime in PINS
        return cls(variant.id, runtime, variant.precision, options.threads_each, streams, pin)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"runtime": self.runtime.value, "precision": self.precision.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Setting:
        """Read what `to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        known = {"runtime": Runtime(data["runtime"]), "precision": Precision(data["precision"])}
        return cls(**{**data, **known})


@dataclass(frozen=True, slots=True)
class Slice:
    """What a setting took in one turn.

    Attributes:
        p50_ms, p95_ms: of one inference.
        fps: inferences a second, of all streams together.
        cpu_ms: processor time of one inference, all threads together.
        others: cores that other processes kept busy meanwhile.
        idle: cores that nobody used.
    """

    p50_ms: float
    p95_ms: float
    fps: float
    cpu_ms: float
    others: float = 0.0
    idle: float = 0.0

    def fps_alone(self, cores: int) -> float:
        """Return the rate with what others took of the cores given back.

        Beside other work a rate says how much of the cores one happened to get: a setting that works twice as much for a
        picture can win by it. Where a core stood idle nobody was hindered.

        Args:
            cores: that the setting can use at a time.
        """
        own = self.cpu_ms * self.fps / 1000
        if self.others < AT_WORK or self.idle >= AT_WORK or own <= 0:
            return self.fps
        return self.fps * max(1.0, min(cores, own + self.others) / own)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a setting took.

    Attributes:
        prepare_ms: preprocessing of one picture for this variant's input, one thread.
        rss_bytes: by how much the process grew when the setting was opened and first run.
        rounds: its turns; those of settings that were kept to the end were taken by turns with each other.
        period_ms: from frame to frame of the live camera that it was measured for; 0 without one.
    """

    setting: Setting
    prepare_ms: float
    rss_bytes: int
    rounds: tuple[Slice, ...]
    period_ms: float = 0.0

    def with_round(self, taken: Slice) -> Measured:
        return replace(self, rounds=(*self.rounds, taken))

    @property
    def ms(self) -> float:
        """Median milliseconds of one inference."""
        return statistics.median(one.p50_ms for one in self.rounds)

    @property
    def p95_ms(self) -> float:
        return statistics.median(one.p95_ms for one in self.rounds)

    @property
    def fps(self) -> float:
        return statistics.median(one.fps for one in self.rounds)

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds of one picture, preparing it included."""
        return self.prepare_ms + statistics.median(one.cpu_ms for one in self.rounds)

    @property
    def others(self) -> float:
        """Cores that other processes kept busy while it was timed."""
        return statistics.median(one.others for one in self.rounds)

    def cost(self, hint: Hint, rounds: slice = slice(None)) -> float:
        """Return what the hint wants to be small, in milliseconds.

        Of one answer, or of each of many; for a live camera the oldest that what is known of its scene gets: an answer
        stands until the next frame's, so that a frame's time is part of it.
        """
        taken = self.rounds[rounds]
        if hint is Hint.THROUGHPUT:
            cores = self.setting.threads * self.setting.streams
            return 1000.0 / statistics.median(one.fps_alone(cores) for one in taken)
        answer_ms = self.prepare_ms + statistics.median(one.p50_ms for one in taken)
        return answer_ms + self.period_ms if hint is Hint.AGE else answer_ms

    def least_cost(self, hint: Hint) -> float:
        """Return the cost of the best turn: what disturbs a turn makes it only longer."""
        return min(self.cost(hint, slice(place, place + 1)) for place in range(len(self.rounds)))

    def to_json(self) -> dict[str, Any]:
        return {
            "setting": self.setting.to_json(),
            "ms": _short(self.ms),
            "p95_ms": _short(self.p95_ms),
            "fps": _short(self.fps),
            "cpu_ms": _short(self.cpu_ms),
            "prepare_ms": _short(self.prepare_ms),
            "rss_bytes": self.rss_bytes,
            "period_ms": _short(self.period_ms),
            "rounds": [{name: _short(value) for name, value in asdict(one).items()} for one in self.rounds],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measured:
        """Read what `to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        rounds = tuple(Slice(**{name: float(value) for name, value in one.items()}) for one in data["rounds"])
        if not rounds or any(one.fps <= 0 for one in rounds):
            raise ValueError("no turns")
        setting = Setting.from_json(data["setting"])
        return cls(setting, float(data["prepare_ms"]), int(data["rss_bytes"]), rounds, float(data["period_ms"]))


def _short(value: float) -> float:
    return float(f"{value:.5g}")
