"""Each check over facts in which one thing is well, doubtful, and broken; and that what is unknown is not judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesdk_agent.health.assessment import CHECKS, assess
from edgesdk_agent.health.facts import BrokerFacts, CameraFacts, ClockFacts, Facts, OutboxFacts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

GB = 1_000_000_000
WELL = Facts(
    at=1000.0,
    uptime_s=900.0,
    cameras={"gate": CameraFacts(since_frame_s=0.1, fps=15.0, age_p95_ms=80.0)},
    since_result_s=0.1,
    age_p95_ms=80.0,
    broker=BrokerFacts(connected=True, for_s=900.0),
    outbox=OutboxFacts(filled=0.01, waiting=3),
    disk_free_bytes=20 * GB,
    rss_bytes=200_000_000,
    memory_limit_bytes=4 * GB,
    memory_available_bytes=2 * GB,
    memory_total_bytes=4 * GB,
    temperature_c=55.0,
    clock=ClockFacts(trusted=True),
    fds_open=60,
    fds_limit=1024,
)


def camera(**changes: object) -> dict[str, CameraFacts]:
    return {"gate": replace(WELL.cameras["gate"], **changes)}  # type: ignore[arg-type]


# check, what is doubtful, what is broken (None: it never fails by this)
TROUBLES: list[tuple[str, dict[str, object], dict[str, object] | None]] = [
    ("cameras_producing", {"cameras": camera(since_frame_s=3.0)}, {"cameras": camera(since_frame_s=11.0)}),
    ("cameras_producing", {"cameras": camera(state="degraded")}, {"cameras": camera(failed="it is gone")}),
    (
        "inference_advancing",
        {"frames_wait": True, "since_result_s": 6.0},
        {"frames_wait": True, "since_result_s": 30.0},
    ),
    (
        "stages_returning",
        {"cameras": {**camera(), "yard": camera(left_out_by="my.stage")["gate"]}},
        {"cameras": camera(left_out_by="my.stage")},
    ),
    ("age_within_budget", {"cameras": camera(age_p95_ms=1100.0)}, {"cameras": camera(age_p95_ms=3100.0)}),
    ("broker_reached", {"broker": BrokerFacts(False, 60.0, "refused")}, {"broker": BrokerFacts(False, 4000.0)}),
    ("outbox_filling", {"outbox": OutboxFacts(0.6, 600)}, {"outbox": OutboxFacts(0.2, 200, lost=1)}),
    ("disk_space", {"disk_free_bytes": 300_000_000}, {"disk_free_bytes": 50_000_000}),
    ("memory", {"memory_available_bytes": 300_000_000}, {"memory_available_bytes": 100_000_000}),
    ("memory", {"rss_bytes": int(3.3 * GB)}, {"rss_bytes": int(3.9 * GB)}),
    ("temperature", {"temperature_c": 83.0}, {"temperature_c": 95.0}),
    ("temperature", {"throttled": ("too little voltage",)}, None),
    ("clock_trusted", {"clock": ClockFacts(False, "it is 1970")}, None),
    ("file_descriptors", {"fds_open": 800}, {"fds_open": 1000}),
    ("error_rate", {"errors_per_minute": 12}, {"errors_per_minute": 80}),
]


def of(name: str, facts: Facts) -> Level:
    return max((one.level for one in CHECKS[name](facts, HealthLimits())), default=Level.OK)


def test_every_check_is_tried_here_and_all_are_well() -> None:
    assert {name for name, _, _ in TROUBLES} == set(CHECKS)
    found = assess(WELL, HealthLimits())
    assert found.state == "online", found.troubles
    assert {one.check for one in found.findings} == set(CHECKS)


@pytest.mark.parametrize(("name", "doubtful", "broken"), TROUBLES)
def test_a_check_warns_and_fails_and_says_what_to_do(
    name: str, doubtful: dict[str, object], broken: dict[str, object] | None
) -> None:
    facts = replace(WELL, **doubtful)  # type: ignore[arg-type]
    assert of(name, facts) is Level.WARNING
    found = assess(facts, HealthLimits())
    assert found.state == "degraded"
    assert {one.check for one in found.troubles} == {name}
    assert all(one.reason and one.hint for one in found.troubles)
    if broken is not None:
        assert of(name, replace(WELL, **broken)) is Level.FAILING  # type: ignore[arg-type]


def test_what_is_unknown_is_not_judged() -> None:
    found = assess(Facts(at=1.0, uptime_s=1.0), HealthLimits())
    assert found.state == "online"


def test_one_late_camera_of_many_is_named_and_each_has_its_budget() -> None:
    cameras = {f"c{number}": replace(WELL.cameras["gate"], age_p95_ms=50.0) for number in range(7)}
    cameras["yard"] = replace(WELL.cameras["gate"], age_p95_ms=1500.0)
    facts = replace(WELL, cameras=cameras, age_p95_ms=60.0)
    (late,) = assess(facts, HealthLimits()).troubles
    assert (late.subject, late.level) == ("yard", Level.WARNING)
    assert "of yard" in late.reason
    assert facts.age_share(1000.0) == 1.5
    cameras["yard"] = replace(cameras["yard"], age_budget_ms=2000.0)
    cameras["c0"] = replace(cameras["c0"], age_budget_ms=40.0)
    (late,) = assess(replace(facts, cameras=cameras), HealthLimits()).troubles
    assert (late.subject, late.level) == ("c0", Level.WARNING)
    assert replace(facts, cameras=cameras).age_share(1000.0) == 1.25


def test_a_slow_camera_is_not_silent_between_two_pictures() -> None:
    slow = replace(WELL, cameras={"yard": CameraFacts(since_frame_s=55.0, fps=1 / 60)})
    assert of("cameras_producing", slow) is Level.OK
    assert of("cameras_producing", replace(WELL, cameras=camera(since_frame_s=55.0))) is Level.FAILING


def test_a_camera_that_is_paused_or_read_at_our_pace_is_not_silent() -> None:
    for changes in ({"paused": True}, {"live": False}):
        assert of("cameras_producing", replace(WELL, cameras=camera(since_frame_s=1e4, **changes))) is Level.OK


def test_a_check_that_raises_is_a_finding_and_the_others_are_asked() -> None:
    def broken(_facts: Facts, _limits: HealthLimits) -> list[Finding]:
        raise ZeroDivisionError("oops")

    found = assess(replace(WELL, disk_free_bytes=0), HealthLimits(), {"broken": broken, **CHECKS})
    assert {one.check: one.level for one in found.troubles} == {
        "broken": Level.WARNING,
        "disk_space": Level.FAILING,
    }
