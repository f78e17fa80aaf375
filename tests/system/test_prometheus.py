"""The rule file and `/metrics` in Prometheus itself: it takes both, and says of a fleet what is wrong with it."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from edgesdk_testkit.fleet_seed import seed
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.serve_process import until

pytestmark = pytest.mark.system
RULES = Path(str(files("edgesdk.fleet.grafana") / "edgesdk-alerts.yaml"))
# Metric, its values a minute long each, and the alert that must fire at the end of them; None where none must.
DAYS = (
    ("edgesdk_device_up{node='a'}", "0x10", "EdgesdkDeviceGone"),
    ("edgesdk_device_up{node='a'}", "0x4 1x6", None),
    ("edgesdk_device_age_p95_seconds{node='a'}", "1.6x10", "EdgesdkResultsOld"),
    ("edgesdk_device_temperature_celsius{node='a'}", "81x10", "EdgesdkDeviceHot"),
    ("edgesdk_device_temperature_celsius{node='a'}", "80x10", None),
    ("edgesdk_device_fps{node='a'}", "20x600 5x20", "EdgesdkDeviceSlow"),
    ("edgesdk_device_reports_lost_total{node='a'}", "7x5 9x5", "EdgesdkReportsLost"),
    ("edgesdk_collector_up", "0x10", "EdgesdkNothingRecorded"),
)


def minutes(values: str) -> int:
    return sum(int(part.partition("x")[2]) + 1 for part in values.split()) - 1


@pytest.fixture(scope="module")
def promtool(needs_program: Callable[[str, str], str]) -> str:
    return needs_program("promtool", "prometheus")


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_the_rules_are_taken_and_fire_when_they_must(promtool: str, tmp_path: Path) -> None:
    checked = run(promtool, "check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stderr
    known = {
        rule["alert"]: rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
    }
    tests = []
    for series, values, fires in DAYS:
        expected: dict[str, list[dict[str, Any]]] = {}
        name = fires or next(name for name, rule in known.items() if series.partition("{")[0] in rule["expr"])
        if fires is not None:
            labels = {"severity": known[fires]["labels"]["severity"], **({"node": "a"} if "{" in series else {})}
            told = {key: text.replace("{{ $labels.node }}", "a") for key, text in known[fires]["annotations"].items()}
            expected = {"exp_alerts": [{"exp_labels": labels, "exp_annotations": told}]}
        # That the service itself is gone is no part of these days.
        there = [] if series == "edgesdk_collector_up" else [{"series": "edgesdk_collector_up", "values": "1x1000"}]
        tests.append({
            "interval": "1m", "input_series": [{"series": series, "values": values}, *there],
            "alert_rule_test": [{"eval_time": f"{minutes(values)}m", "alertname": name, **expected}],
        })  # fmt: skip
    file = tmp_path / "days.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = run(promtool, "test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    # Negative control: a day that is well, called one on which it fires.
    del tests[1]["alert_rule_test"][0]["alertname"]
    tests[1]["alert_rule_test"][0] |= {
        "alertname": "EdgesdkDeviceGone",
        "exp_alerts": tests[0]["alert_rule_test"][0]["exp_alerts"],
    }
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    assert run(promtool, "test", "rules", str(file)).returncode != 0


def test_prometheus_reads_the_metrics_and_evaluates_the_rules(
    promtool: str, needs_program: Callable[[str, str], str], tmp_path: Path
) -> None:
    service = FleetService(tmp_path)
    seed(service.engine, 12, minutes=5)
    service.add_user("viewer")
    with service, service.logged_in("viewer") as person:
        text = person.get("/metrics").text
        linted = run(promtool, "check", "metrics", text=text)
        assert linted.returncode == 0, linted.stdout + linted.stderr
        token = person.post("/api/v1/tokens", json={"name": "prometheus"}).json()["token"]
        (tmp_path / "token").write_text(token)
        target = service.url.removeprefix("http://")
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "edgesdk", "authorization": {"credentials_file": str(tmp_path / "token")},
                                "static_configs": [{"targets": [target]}]}],
        }))  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            needs_program("prometheus", "prometheus"), f"--config.file={tmp_path / 'prometheus.yaml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            gone = until(lambda: pending(f"http://127.0.0.1:{port}", "EdgesdkDeviceGone"))
        finally:
            process.terminate()
            process.wait(30)
    # Of twelve, one is offline; one was never seen, and is not missing.
    assert gone == {"local.cam-0004"}


def pending(url: str, alert: str) -> set[str]:
    """Return the devices of which a rule has found something in its last evaluation."""
    try:
        answer = httpx.get(f"{url}/api/v1/rules", timeout=5)
    except httpx.TransportError:
        return set()
    groups = json.loads(answer.text)["data"]["groups"] if answer.status_code == 200 else []
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] == alert]
    assert all(rule["health"] in ("ok", "unknown") for rule in rules), rules
    return {one["labels"]["node"] for rule in rules for one in rule["alerts"]}
