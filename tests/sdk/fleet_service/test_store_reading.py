"""Lists, pages and figures of the API against what was written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from edgesdk_testkit.fleet_service import FleetService


@pytest.fixture
def viewer(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("viewer") as client:
        yield client


def test_pages_hold_every_device_once(viewer: httpx.Client) -> None:
    for sort in ("name", "-fps", "temperature_c", "heard_ms", "site"):
        seen, cursor = [], ""
        while True:
            page = viewer.get("/api/v1/devices", params={"limit": 5, "sort": sort, "cursor": cursor}).json()
            seen += [device["node"] for device in page["devices"]]
            cursor = page["next"]
            if not cursor:
                break
        assert len(seen) == len(set(seen)) == 12, sort


def test_filters_are_a_list_of_what_fits(viewer: httpx.Client) -> None:
    def found(**asked: object) -> set[str]:
        return {d["node"] for d in viewer.get("/api/v1/devices", params=asked).json()["devices"]}  # type: ignore[arg-type]

    everything = found()
    by_state = {
        state: found(state=state) for state in ("online", "degraded", "updating", "offline", "never_seen", "revoked")
    }
    assert set.union(*by_state.values()) == everything
    assert sum(map(len, by_state.values())) == len(everything)
    assert by_state["offline"] == {"local.cam-0004"}
    assert by_state["never_seen"] == {"local.cam-0009"}
    assert found(tag="door") | found(tag="indoor") == everything
    assert found(text="CAM-0003") == {"local.cam-0003"}
    assert found(site="Harbour", target="jetson-orin-nano") == {"local.cam-0000"}
    assert found(bundle="digits-detector@1.0.0") == everything
    assert found(bundle="digits-detector@2") == set()


def test_the_overview_adds_up(viewer: httpx.Client) -> None:
    fleet = viewer.get("/api/v1/fleet").json()
    assert fleet["devices"] == sum(fleet["states"].values()) == 12
    assert fleet["alerts_firing"] == 1


def test_a_series_has_gaps_where_nothing_came(viewer: httpx.Client) -> None:
    made = viewer.get("/api/v1/devices/local.cam-0000/series", params={"names": "fps,age_p95_ms", "points": 400}).json()
    assert len(made["at_ms"]) == len(made["values"]["fps"]) > 100
    assert None in made["values"]["fps"], "the ten minutes without samples are drawn as none"
    assert made["gaps"][0]["cause"] == "budget"
    stages = viewer.get("/api/v1/devices/local.cam-0000/series?names=latency_ms").json()
    assert set(stages["values"]) == {"preprocess", "infer"}
    for name in ("latency_ms", "dropped_by_cause"):
        made = viewer.get(f"/api/v1/devices/local.cam-0000/series?names={name}").json()
        longest = max(b - a for a, b in pairwise(made["at_ms"]))
        place = next(i for i, (a, b) in enumerate(pairwise(made["at_ms"])) if b - a == longest)
        for line in made["values"].values():
            assert len(line) == len(made["at_ms"])
            assert line[place] is None, "the line breaks before the ten minutes without samples"


def test_prometheus_can_read_it(viewer: httpx.Client) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    families = {f.name: f for f in text_string_to_metric_families(viewer.get("/metrics").text)}
    assert {s.labels["state"]: s.value for s in families["edgesdk_devices"].samples}["never_seen"] == 1
    # One of the twelve was never seen: that it is not there says nothing.
    assert len(families["edgesdk_device_up"].samples) == 11
    assert families["edgesdk_device_frames_dropped"].type == "counter"
    small = viewer.get("/metrics?devices=false").text
    assert "edgesdk_device_up" not in small


def test_a_part_of_a_devices_page_looks_for_what_it_shows_and_no_more(
    service: FleetService, viewer: httpx.Client
) -> None:
    asked: list[str] = []

    def counted(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(service.engine, "before_cursor_execute", counted)
    try:
        counts = {}
        for part in ("", "head", "events", "commands", "pictures"):
            asked.clear()
            assert viewer.get("/devices/local.cam-0000", params={"part": part}).status_code == 200
            counts[part] = len(asked)
        assert all(counts[part] <= counts[""] - 3 for part in counts if part), counts
        assert viewer.get("/devices/local.cam-0000?part=../x").status_code == 422
    finally:
        event.remove(service.engine, "before_cursor_execute", counted)
