"""The verdict over recorded series: a healthy soak passes, and each seeded fault makes it fail by its own check."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.soak.growth import memory_floor
from edgesdk.soak.line import Bounds
from edgesdk.soak.page import soak_page
from edgesdk.soak.series import Injected, LedgerBalance, Recording, SoakSample
from edgesdk.soak.slope import growth_of, lasting_growth
from edgesdk.soak.timetable import timetable
from edgesdk.soak.verdict import passed, verdict
from edgesdk_targets.errors import InputError

MB = 1_000_000


def recording(seconds: int = 600, *, leak: float = 0.0, fds_s: float = 0.0, threads_s: float = 0.0) -> Recording:
    """A soak as it is seen: memory that shakes by a megabyte, an agent that was killed once.

    Args:
        leak: bytes a second; fds_s, threads_s: more of them a second.
    """
    shake = random.Random(1)
    samples = []
    for at in range(seconds):
        life_s = at if at < seconds // 4 else at - seconds // 4
        warm = 10 * MB * (1 - 0.9 ** min(life_s, 100))
        samples.append(
            SoakSample(
                at_s=float(at),
                pid=1000 + (at >= seconds // 4),
                rss_bytes=int(150 * MB + warm + shake.gauss(0, 0.4 * MB) + leak * life_s),
                fds=int(40 + fds_s * life_s) + shake.randint(0, 1),
                threads=int(14 + threads_s * life_s),
                processed={"a": life_s * 15, "b": life_s * 15},
                age_p95_ms=60.0 + shake.random() * 20,
                recorded=at * 30,
            )
        )
    kill = Injected("sigkill", seconds / 4, seconds / 4 + 1, recovered_s=4.0)
    ledger = LedgerBalance(stored=17_000, holes=0, declared={}, left=0)
    return Recording(("a", "b"), samples, (kill,), ledger=ledger, asked=("sigkill",))


def silent_camera(one: Recording) -> Recording:
    """A reader that never reconnects: one camera's frames stop in the middle, and it never recovers."""
    stopped = len(one.samples) // 2
    at = one.samples[stopped].processed["b"]
    samples = [replace(s, processed={**s.processed, "b": min(at, s.processed["b"])}) for s in one.samples]
    lost = Injected("rtsp-drop", float(stopped), stopped + 8.0, recovered_s=None)
    return replace(one, samples=samples, injected=(*one.injected, lost))


def outcomes(one: Recording) -> dict[str, str]:
    return {line.check: line.outcome for line in verdict(one, Bounds())}


def test_a_healthy_soak_passes_every_check() -> None:
    lines = verdict(recording(), Bounds())
    assert {line.outcome for line in lines} == {"pass"}, lines
    assert passed(lines)


# One start of the real agent, as it was seen once a second: descriptors and threads, until both cameras had results.
START = ((4, 1), (3, 1), (3, 2), (6, 3), (15, 15))


def short_lives(*, fds_s: float = 0.0, threads_s: float = 0.0) -> Recording:
    """Half a minute with a kill: two lives of 8 and 13 seconds after their start."""
    samples: list[SoakSample] = []
    for life, seconds in enumerate((8, 13)):
        for run_s in range(-len(START), seconds):
            fds, threads = START[run_s] if run_s < 0 else (int(16 + fds_s * run_s), int(13 + threads_s * run_s))
            done = dict.fromkeys("ab", max(0, 15 * (run_s + 1)))
            age_ms = 6.0 if run_s >= 0 else None
            samples.append(SoakSample(float(len(samples)), 1000 + life, 167 * MB, fds, threads, done, age_ms))
    return Recording(("a", "b"), samples)


def test_the_start_of_a_short_life_is_no_growth_and_growth_after_it_is() -> None:
    found = outcomes(short_lives())
    assert (found["file descriptors"], found["threads"], found["memory growth"]) == ("pass", "pass", "pass")
    assert outcomes(short_lives(fds_s=1.0))["file descriptors"] == "fail"
    assert outcomes(short_lives(threads_s=1.0))["threads"] == "fail"


def test_a_life_of_which_one_camera_has_no_result_is_judged_from_the_others_and_one_without_any_is_not() -> None:
    one = short_lives(threads_s=1.0)
    mute = replace(one, samples=[replace(s, processed={**s.processed, "b": 0}) for s in one.samples])
    assert outcomes(mute)["threads"] == "fail"
    assert outcomes(replace(one, samples=[replace(s, processed={}) for s in one.samples]))["threads"] == "not measured"


LATE = replace(recording(), samples=[replace(sample, age_p95_ms=1500.0) for sample in recording().samples])
SLOW = replace(recording(), asked=(), injected=(Injected("broker-kill", 100.0, 108.0, recovered_s=75.0),))
DISK_FULL = Injected("disk-full", 100.0, 110.0, recovered_s=2.0, may_lose=("budget",))


def declared(**causes: int) -> Recording:
    """A soak whose disk was full for 10 of 600 seconds, and that numbered some 17,000 reports."""
    whole = recording()
    return replace(whole, injected=(*whole.injected, DISK_FULL), ledger=LedgerBalance(17_000, 0, causes, 0))


FAULTS = {
    "a leak of 11 MB an hour, seen for half an hour": (recording(1800, leak=3_000), {"memory growth"}),
    "a socket and a thread left behind by each of two faults": (
        recording(fds_s=0.0085, threads_s=0.0085),
        {"file descriptors", "threads"},
    ),
    "everything declared lost": (declared(budget=17_000), {"ledger"}),
    "loss that a full disk does not explain": (declared(refused=1), {"ledger"}),
    "loss with nothing broken that explains it": (
        replace(recording(), ledger=LedgerBalance(16_997, 0, {"budget": 3}, 0)),
        {"ledger"},
    ),
    "no recorder": (replace(recording(), ledger=None), {"ledger"}),
    "a fault that was named and cannot be done here": (
        replace(recording(), asked=("sigkill", "clock-jump"), left_out={"clock-jump": "no libfaketime"}),
        {"faults"},
    ),
    "a minute without an agent that lives": (
        replace(recording(), samples=[replace(s, processed={}) for s in recording().samples]),
        {"memory growth", "file descriptors", "threads", "cameras at the end"},
    ),
    "a leaky model, 50 kB a second": (recording(leak=50_000), {"memory growth"}),
    "a queue without bound": (recording(leak=500_000), {"memory growth"}),
    "a socket left open every 20 s": (recording(fds_s=0.05), {"file descriptors"}),
    "a thread left behind every 30 s": (recording(threads_s=1 / 30), {"threads"}),
    "a reader that never reconnects": (silent_camera(recording()), {"recovery", "cameras at the end"}),
    "a report lost silently": (replace(recording(), ledger=LedgerBalance(16_999, 1, {}, 0)), {"ledger"}),
    "reports left on the device": (replace(recording(), ledger=LedgerBalance(17_000, 0, {}, 5)), {"ledger"}),
    "an agent that crashed": (replace(recording(), unplanned_ends=("code -11 at 80 s",)), {"ends"}),
    "an agent that does not stop": (replace(recording(), exit_code=None), {"ends"}),
    "results that are late": (LATE, {"age"}),
    "a slow recovery": (SLOW, {"recovery"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_makes_it_fail_by_its_own_check(fault: str) -> None:
    one, expected = FAULTS[fault]
    assert {check for check, outcome in outcomes(one).items() if outcome == "fail"} == expected


def test_what_nobody_asked_for_and_a_short_soak_cannot_tell_is_not_measured_and_fails_nothing() -> None:
    lines = verdict(replace(recording(8), injected=(), asked=()), Bounds())
    unmeasured = {line.check for line in lines if line.outcome == "not measured"}
    assert unmeasured == {"memory growth", "file descriptors", "threads", "faults", "recovery"}
    assert passed(lines)


def test_a_full_disk_explains_the_loss_of_its_own_time_only() -> None:
    assert outcomes(declared(budget=600))["ledger"] == "pass"
    assert outcomes(declared(budget=1_000))["ledger"] == "fail"


def test_of_all_what_this_machine_cannot_do_is_left_out_and_said() -> None:
    lines = verdict(replace(recording(), asked=(), left_out={"clock-jump": "no libfaketime"}), Bounds())
    assert passed(lines)
    assert any("left out: clock-jump" in line.figure for line in lines)


def test_a_warm_up_that_ends_is_no_growth_and_the_floor_falls_with_the_length() -> None:
    times = [float(at) for at in range(400)]
    settles = [150 * MB + 6 * MB * (1 - 0.98**at) for at in times]
    assert growth_of(times, settles).over_series > memory_floor(400)
    assert lasting_growth(times, settles).over_series < memory_floor(400)
    assert memory_floor(10) == memory_floor(60) == 3 * MB
    assert memory_floor(3600) == memory_floor(86_400) == 1 * MB
    assert 1 * MB < memory_floor(240) < 2 * MB


@given(st.integers(0, 1000), st.floats(0, 2 * MB))
def test_noise_alone_is_no_growth(seed: int, noise: float) -> None:
    shake = random.Random(seed)
    values = [150 * MB + shake.uniform(-noise, noise) for _ in range(300)]
    one = lasting_growth(range(300), values)
    assert one.over_series <= max(one.noise, memory_floor(300))


def test_a_line_is_found_through_outliers() -> None:
    values = [1000.0 * t + (5 * MB if t % 37 == 0 else 0) for t in range(1800)]
    assert abs(growth_of(range(1800), values).per_hour - 3_600_000) < 36_000


def test_turns_come_in_rounds_and_never_overlap() -> None:
    lasting = {"a": 10.0, "b": 5.0, "c": 1.0}
    turns = timetable(1800, lasting, seed=3)
    assert turns == timetable(1800, lasting, seed=3)
    assert turns[0].begins_s >= 0.2 * 1800
    assert turns[-1].ends_s <= 0.85 * 1800
    assert all(one.ends_s + 10 < two.begins_s for one, two in itertools.pairwise(turns))
    assert {turn.name for turn in turns} == set(lasting)
    with pytest.raises(InputError, match="too short"):
        timetable(30, lasting, seed=3)


def test_what_may_end_the_agent_leaves_its_last_life_the_longest() -> None:
    lasting = {"kill": 1.0, "drop": 8.0, "freeze": 12.0}
    turns = timetable(1800, lasting, seed=1, ends_agent={"kill"})
    kills = [turn for turn in turns if turn.name == "kill"]
    assert len(kills) > 3
    assert kills[-1].ends_s < 0.6 * 1800 < turns[-3].begins_s
    # The control: without knowing, one of them comes at the very end, and no life is long.
    assert [turn for turn in timetable(1800, lasting, seed=1) if turn.name == "kill"][-1].ends_s > 0.8 * 1800
    # Alone it comes all the time, as that is what was asked for.
    alone = timetable(66, {"kill": 1.0}, seed=0, ends_agent={"kill"})
    assert [round(turn.begins_s) for turn in alone] == [13, 28, 42]


def test_the_page_shows_the_verdict_the_faults_and_the_plots() -> None:
    pytest.importorskip("matplotlib")
    one = replace(silent_camera(recording()), left_out={"clock-jump": "libfaketime is not installed"})
    html = soak_page(one, verdict(one, Bounds())).html()
    for text in ("Soak: failed", "rtsp-drop", "never", "libfaketime", "<svg", "memory growth"):
        assert text in html
