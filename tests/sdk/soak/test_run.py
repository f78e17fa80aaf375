"""The order of a soak: what is broken when, over a field that the test moves by hand."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from edgesdk.soak import run
from edgesdk.soak.run import Soak


class Agent:
    pid = 0
    code: int | None = None

    def stop(self, _within_s: float) -> int:
        return 0

    def start(self) -> None:
        """It never comes up by itself here."""


class Field:
    """Processes that are not there; `back_s` after a fault's end the cameras have results again."""

    cameras = ("camera1",)

    def __init__(self) -> None:
        self.agent = Agent()
        self.agent.pid = 1
        self.now = 0.0
        self.broken: list[tuple[str, float]] = []
        self.healthy_at = 0.0
        self.processed = 0

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def status(self) -> dict[str, Any]:
        self.processed += self.now >= self.healthy_at
        one = {"frames": {"processed": self.processed}}
        return {"frames": {"cameras": {"camera1": one}}}

    def recorded(self) -> int | None:
        return None

    def balance(self) -> None:
        return None


class Fault:
    lasts_s = 8.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def __init__(self, name: str, back_s: float) -> None:
        self.name, self._back_s = name, back_s

    def missing(self, field: Field) -> str:
        return ""

    def begin(self, field: Field) -> None:
        field.broken.append((self.name, field.now))
        field.healthy_at = 1e9

    def end(self, field: Field) -> None:
        field.healthy_at = field.now + self._back_s


def soaked(monkeypatch: pytest.MonkeyPatch, *faults: Fault, minutes: float) -> tuple[Field, Any]:
    """Run a soak in simulated seconds."""
    field = Field()
    monkeypatch.setattr(run.time, "monotonic", lambda: field.now)
    monkeypatch.setattr(run, "figures_of", lambda _pid: SimpleNamespace(rss_bytes=1, fds=1, threads=1))
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda _s: setattr(field, "now", field.now + 1.0))
    soak = Soak(field, faults, duration_s=minutes * 60, asked=[one.name for one in faults])  # type: ignore[arg-type]
    return field, soak.run(stop)


def test_a_fault_waits_until_the_one_before_is_recovered_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy takes 40 s where the timetable leaves some twenty."""
    field, recording = soaked(monkeypatch, Fault("one", 40.0), Fault("two", 40.0), minutes=3)
    took = [injected.recovered_s for injected in recording.injected]
    assert len(took) >= 2
    assert took == pytest.approx([40.0] * len(took), abs=2.0)
    begins = [at for _, at in field.broken]
    assert min(later - earlier for earlier, later in itertools.pairwise(begins)) >= 48.0


def test_one_that_never_recovers_is_waited_for_as_long_as_it_may_take_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    field, recording = soaked(monkeypatch, Fault("one", 1e6), Fault("two", 1e6), minutes=6)
    assert {injected.recovered_s for injected in recording.injected} == {None}
    assert field.broken[1][1] - field.broken[0][1] == pytest.approx(69.0, abs=2.0)


def test_what_comes_too_late_to_be_recovered_from_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    field, recording = soaked(monkeypatch, Fault("one", 1e6), Fault("two", 1e6), minutes=1.1)
    assert len(field.broken) == 1
    assert len(recording.injected) == 1
