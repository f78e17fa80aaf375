"""Facts from a real pipeline's counts and from the kernel's own files, with a clock that the test sets."""

from __future__ import annotations

from pathlib import Path

from edgesdk_agent.health.control_group import memory_limit_bytes
from edgesdk_agent.health.facts import Facts, OutboxFacts
from edgesdk_agent.health.facts_reader import CameraSource, FactSources, FactsReader
from edgesdk_agent.health.throttling import Throttling
from edgesdk_agent.meter import Meters
from edgesdk_agent.vitals import VitalsReader


class Clocks:
    def __init__(self) -> None:
        self.monotonic, self.wall = 100.0, 1_795_000_000.0

    def tick(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def reader(clocks: Clocks, meters: Meters, **sources: object) -> FactsReader:
    known = {
        "totals": meters.totals,
        "recent": meters.span().read,
        "vitals": VitalsReader().read,
        "cameras": {name: CameraSource(lambda: 10.0, live=True) for name in ("a", "b")},
        **sources,
    }
    return FactsReader(FactSources(**known), clock=lambda: clocks.monotonic, wall=lambda: clocks.wall)  # type: ignore[arg-type]


def test_silence_stalls_and_ages_are_told_from_counts() -> None:
    clocks = Clocks()
    meters = Meters(("a", "b"), lambda: clocks.monotonic)
    facts_of = reader(clocks, meters)
    for _ in range(3):
        clocks.tick(1.0)
        meters["a"].captured()
        meters["a"].processed(clocks.monotonic, 0.05, 0.01, 0.02)
        facts = facts_of.read()
    assert facts.cameras["a"].since_frame_s == 0.0
    assert facts.cameras["b"].since_frame_s == 3.0
    assert not facts.frames_wait
    assert 49 < (facts.age_p95_ms or 0) < 52
    assert facts.cameras["a"].age_p95_ms == facts.age_p95_ms
    assert facts.cameras["b"].age_p95_ms is None
    # The model stands still: pictures come and are replaced.
    for _ in range(4):
        clocks.tick(1.0)
        meters["a"].captured()
        meters["a"].dropped("replaced_before_preprocess")
        facts = facts_of.read()
    assert facts.frames_wait
    assert facts.since_result_s == 4.0
    assert facts.age_p95_ms is None
    # It goes on: what is left out on purpose is an advance as well.
    clocks.tick(1.0)
    meters["a"].captured()
    meters["a"].dropped("filtered")
    facts = facts_of.read()
    assert not facts.frames_wait
    assert facts.since_result_s == 0.0


def test_what_is_lost_while_a_stage_hangs_is_no_advance() -> None:
    clocks, left_out = Clocks(), dict[str, str]()
    meters = Meters(("a", "b"), lambda: clocks.monotonic)
    facts_of = reader(clocks, meters, left_out=lambda: left_out)

    def second(**lost: str) -> Facts:
        clocks.tick(1.0)
        for name in ("a", "b"):
            meters[name].captured()
            meters[name].processed(clocks.monotonic, 0.05, 0.01, 0.02)
            if name in lost:
                meters[name].captured()
                meters[name].dropped("filter_failed")
        return facts_of.read()

    assert second().since_result_s == 0.0
    left_out["a"] = "my.stage"
    facts = [second(a="lost") for _ in range(4)][-1]
    assert (facts.since_result_s, facts.cameras["a"].left_out_by, facts.cameras["b"].left_out_by) == (0, "my.stage", "")
    # on_frame loses frames, on_result results: of both, none is told to anybody.
    left_out["b"] = "my.stage"
    second(a="lost", b="lost")
    facts = [second(a="lost", b="lost") for _ in range(4)][-1]
    assert (facts.since_result_s, facts.frames_wait) == (4.0, True)
    left_out.clear()
    assert second().since_result_s == 0.0


def test_a_clock_that_jumps_changes_no_age_and_no_rate() -> None:
    clocks = Clocks()
    meters = Meters(("a", "b"), lambda: clocks.monotonic)
    facts_of = reader(clocks, meters)
    for wall in (0.0, 1_795_000_000.0, 1_995_000_000.0):
        clocks.wall = wall
        for _ in range(10):
            clocks.tick(0.1)
            meters["a"].captured()
            meters["a"].processed(clocks.monotonic, 0.05, 0.01, 0.02)
        facts = facts_of.read()
        assert facts.clock is not None
        assert not facts.clock.trusted
        assert abs(facts_of.recent.fps - 10.0) < 1e-6  # type: ignore[union-attr]
        assert 49 < (facts.age_p95_ms or 0) < 52
        assert facts.cameras["b"].since_frame_s == facts.uptime_s


def test_the_broker_and_the_outbox_are_asked() -> None:
    clocks = Clocks()
    said = [(False, "refused")]
    facts_of = reader(clocks, Meters(("a", "b")), broker=lambda: said[-1], outbox=lambda: OutboxFacts(0.5, 10, 1))
    facts_of.read()
    clocks.tick(7.0)
    broker = facts_of.read().broker
    assert broker is not None
    assert (broker.connected, broker.for_s, broker.problem) == (False, 7.0, "refused")
    said.append((True, "refused"))
    broker = facts_of.read().broker
    assert broker is not None
    assert (broker.connected, broker.for_s, broker.problem) == (True, 0.0, "")


def test_spans_of_two_readers_do_not_disturb_each_other() -> None:
    meters = Meters(("a",))
    one, two = meters.span(), meters.span()
    meters["a"].captured()
    assert one.read().captured == 1
    meters["a"].captured()
    assert (one.read().captured, two.read().captured) == (1, 2)
    assert meters.totals().captured == 2


def test_a_raspberry_pi_and_an_x86_say_that_they_are_slowed_down(tmp_path: Path) -> None:
    pi = tmp_path / "pi/devices/platform/soc/soc:firmware"
    pi.mkdir(parents=True)
    (pi / "get_throttled").write_text("50005\n")
    assert Throttling(tmp_path / "pi").now() == ("too little voltage", "throttled")
    x86 = tmp_path / "x86/devices/system/cpu/cpu0/thermal_throttle"
    x86.mkdir(parents=True)
    (x86 / "core_throttle_count").write_text("7\n")
    throttling = Throttling(tmp_path / "x86")
    assert throttling.now() == ()
    (x86 / "core_throttle_count").write_text("9\n")
    assert throttling.now() == ("throttled by heat",)
    assert throttling.now() == ()
    assert Throttling(tmp_path / "none").now() == ()


def test_the_least_limit_of_the_control_groups_counts(tmp_path: Path) -> None:
    inner = tmp_path / "system.slice/edgesdk.service"
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/system.slice/edgesdk.service\n")
    assert memory_limit_bytes(tmp_path, tmp_path / "own") is None
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("1000000\n")
    assert memory_limit_bytes(tmp_path, tmp_path / "own") == 1_000_000
    assert memory_limit_bytes(tmp_path, tmp_path / "gone") is None
