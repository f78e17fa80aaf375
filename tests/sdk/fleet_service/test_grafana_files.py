"""The files for Grafana and Prometheus: they can be read, and ask only for what `/metrics` says."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from edgesdk.cli.fleet import app
from edgesdk_testkit.fleet_service import FleetService

PLACE = files("edgesdk.fleet.grafana")
BOARDS = ("edgesdk-fleet.json", "edgesdk-device.json")


@pytest.fixture(scope="module")
def said(service: FleetService) -> dict[str, set[str]]:
    """What the service says: each metric with its labels."""
    with service.logged_in("viewer") as client:
        text = client.get("/metrics").text
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=", labels))
    return found


def expressions() -> list[str]:
    boards = [json.loads((PLACE / name).read_text("utf-8")) for name in BOARDS]
    rules = yaml.safe_load((PLACE / "edgesdk-alerts.yaml").read_text("utf-8"))
    found = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    found += [variable["query"]["query"] for board in boards for variable in board["templating"]["list"][1:]]
    return found + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def unknown(expression: str, said: dict[str, set[str]]) -> set[str]:
    """Return the metrics and labels of an expression that the service does not have."""
    metrics = set(re.findall(r"\bedgesdk_\w+", expression))
    labels = {
        label for inner in re.findall(r"\{([^{}]*)\}", expression) for label in re.findall(r"(\w+)\s*[=!]", inner)
    }
    known = set().union(*(said.get(metric, set()) for metric in metrics))
    return (metrics - said.keys()) | (labels - known)


@pytest.mark.parametrize("expression", expressions())
def test_only_what_is_there_is_asked_for(expression: str, said: dict[str, set[str]]) -> None:
    # This store's devices say nothing of their disks; that a device can is a table of `metrics`.
    there = {**said, "edgesdk_device_disk_free_bytes": {"node"}}
    assert unknown(expression, there) == set()


def test_what_is_not_there_would_be_found(said: dict[str, set[str]]) -> None:
    """Negative control."""
    assert unknown('edgesdk_device_speed{node="a"}', said) == {"edgesdk_device_speed", "node"}
    assert unknown('edgesdk_device_fps{camera="a"}', said) == {"camera"}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_whole(name: str) -> None:
    board: dict[str, Any] = json.loads((PLACE / name).read_text("utf-8"))
    assert board["uid"] == name.removesuffix(".json")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 8
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over each other"
    assert max(x for x, _ in cells) < 24


def test_a_device_that_was_never_there_is_not_missing(service: FleetService) -> None:
    with service.logged_in("viewer") as client:
        up = re.findall(r'edgesdk_device_up\{node="([^"]+)"', client.get("/metrics").text)
    assert "local.cam-0004" in up, "it is offline"
    assert "local.cam-0009" not in up, "it was never seen"


def test_the_command_writes_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["grafana", str(tmp_path / "g"), "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.output)["files"]) == 3
    assert (tmp_path / "g/edgesdk-fleet.json").read_bytes() == (PLACE / "edgesdk-fleet.json").read_bytes()
