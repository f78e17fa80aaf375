"""The registry, and the text format read by Prometheus' own parser."""

from __future__ import annotations

import math

import pytest

from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.meter import Meters
from edgesdk_agent.metrics import families
from edgesdk_agent.metrics.exposition import Family, text_of
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.vitals import VitalsReader

parser = pytest.importorskip("prometheus_client.parser")


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_what_was_written_whatever_the_names() -> None:
    nasty = 'a"b\\c\nd{e}=,#é'
    family = Family("edgesdk_x_total", "counter", "Help with \\ and\na line.").add(3, camera=nasty).add(1.5, camera="b")
    gauge = Family("edgesdk_y", "gauge", "y").add(math.inf).add(None, camera="left out")
    assert parsed(text_of([family, gauge, Family("edgesdk_none", "gauge", "")])) == {
        ("edgesdk_x_total", (("camera", nasty),)): 3.0,
        ("edgesdk_x_total", (("camera", "b"),)): 1.5,
        ("edgesdk_y", ()): math.inf,
    }


def test_every_family_of_the_agent_is_readable_and_right() -> None:
    meters = Meters(("gate",))
    span = meters.span()
    meters["gate"].captured()
    meters["gate"].processed(1.0, 0.05, 0.01, 0.02)
    meters["gate"].captured()
    meters["gate"].dropped("governed")
    registry = CountRegistry()
    registry.add("outbox", lambda: {"written": 7})
    registry.add("camera", lambda: {"stalls": 2}, camera="gate")
    found = parsed(
        text_of(
            [
                *families.frame_families(meters.totals(), span.read()),
                *families.vitals_families(VitalsReader().read()),
                *families.health_families(Assessment((Finding("disk_space", Level.WARNING, "x"),))),
                *families.count_families(registry.read()),
            ]
        )
    )
    gate = ("camera", "gate")
    assert found["edgesdk_frames_captured_total", (gate,)] == 2
    assert found["edgesdk_frames_dropped_total", (gate, ("cause", "governed"))] == 1
    assert abs(found["edgesdk_frame_age_seconds", (gate, ("quantile", "0.95"))] - 0.05) < 0.001
    assert found["edgesdk_health_level", (("check", "disk_space"), ("subject", ""))] == 1
    assert found["edgesdk_degraded", ()] == 1
    assert found["edgesdk_outbox_total", (("what", "written"),)] == 7
    assert found["edgesdk_camera_total", (gate, ("what", "stalls"))] == 2
    assert found["edgesdk_process_memory_bytes", ()] > 1e6


def test_what_telemetry_has_no_room_for_is_counted_and_no_group_is_cut_away(caplog: pytest.LogCaptureFixture) -> None:
    registry = CountRegistry()
    for group, count in (("aaa", 90), ("mmm", 3), ("zzz", 2)):
        registry.add(group, {f"n{number:02d}": number + 1 for number in range(count)}.copy)
    with caplog.at_level("INFO"):
        told = registry.flat(most=64)
        registry.flat(most=64)
    assert len(told) == 64
    assert told["counts.left_out"] == 95 - 63
    assert {name for name in told if not name.startswith("aaa.")} == {
        "counts.left_out", "mmm.n00", "mmm.n01", "mmm.n02", "zzz.n00", "zzz.n01",
    }  # fmt: skip
    assert len([one for one in caplog.messages if "no room" in one]) == 1
    assert "counts.left_out" not in registry.flat(most=95)
    assert len(registry.flat(most=95)) == 95


def test_one_broken_counter_does_not_hide_the_others() -> None:
    registry = CountRegistry()
    registry.add("broken", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    registry.add("fine", lambda: {"a": 1, "b": 0})
    registry.add("fine", lambda: {"a": 2, "b": 0})
    assert [one.group for one in registry.read()] == ["fine"]
    assert registry.flat() == {"fine.a": 2}
