"""The whole agent with a wrong wall clock: at 1970 and then set right, and an hour forward while it runs."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_testkit.mqtt_listener import Heard, MqttListener
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = pytest.mark.system

FPS = 20
# The wall clock of this process only: before anything is imported, and set anew by whoever writes the file.
PROGRAM = """
import sys, time
right, place = time.time, sys.argv.pop(1)

def wrong():
    with open(place) as offset:
        return right() + float(offset.read() or 0)

time.time = wrong
from edgesdk_agent.main import main
main(sys.argv[1:])
"""


def set_clock(place: Path, offset_s: float) -> None:
    new = place.with_suffix(".new")
    new.write_text(str(offset_s))
    new.replace(place)


@pytest.mark.parametrize(
    ("at_first_s", "then_s", "believed"),
    [(-time.time() + 5, 0.0, False), (0.0, 3600.0, True)],
    ids=["1970, then set right", "an hour forward"],
)
def test_ages_and_rates_stay_right_and_times_are_marked(
    tmp_path: Path, at_first_s: float, then_s: float, believed: bool
) -> None:
    bundle, place = write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle"), tmp_path / "clock"
    set_clock(place, at_first_s)
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        words = ("run", "--bundle", bundle, "--source", f"conveyor:?fps={FPS}", "--broker", broker.address)
        command = [sys.executable, "-c", PROGRAM, str(place), *map(str, words), "--telemetry-interval", "1", "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, env=dict(os.environ), **pipes) as agent:
            try:
                before = listener.wait_until(lambda all_: count(all_, "up/tele") >= 3)
                set_clock(place, then_s)
                after = listener.wait_until(lambda all_: count(all_, "up/tele") >= count(before, "up/tele") + 4)
                agent.send_signal(signal.SIGTERM)
                told, errors = agent.communicate(timeout=30)
                assert agent.returncode == 0, errors
            finally:
                agent.kill()
    started = datetime.now(timezone.utc).timestamp()
    untouched, set_ = results(before), results(after)[len(results(before)) :]
    assert {one["clock_trusted"] for one in untouched} == {believed}
    assert year(untouched[-1]) == (1970 if at_first_s else datetime.now(timezone.utc).year)
    # A clock that was just set is not believed, also where it is right now.
    assert not set_[-1]["clock_trusted"]
    assert abs(seconds(set_[-1]) - then_s - started) < 600
    # Ages and rates are of the monotonic clock, and saw nothing of it.
    ages = [float(str(one["age_ms"])) for one in untouched + set_]
    assert all(0 <= age < 60_000 for age in ages)
    assert statistics.median(ages) < 1000
    frames = [int(str(one["frame"])) for one in untouched + set_]
    assert frames == sorted(set(frames))
    # A busy machine leaves some out, and says how many: no result was lost for the clock.
    assert frames[-1] - frames[0] + 1 - len(frames) <= sum(json.loads(told)["frames"]["dropped"].values())
    samples = [sample for one in after if one.channel == "up/tele" for sample in one.body["samples"]]
    assert all(0 < sample["window_s"] < 10 for sample in samples)
    assert all(0.1 * FPS < sample["fps"] < 3 * FPS for sample in samples[1:])


def count(heard: list[Heard], channel: str) -> int:
    return sum(one.channel == channel for one in heard)


def results(heard: list[Heard]) -> list[dict[str, object]]:
    return [one.body for one in heard if one.channel == "up/result"]


def seconds(result: dict[str, object]) -> float:
    return datetime.fromisoformat(str(result["captured_at"]).replace("Z", "+00:00")).timestamp()


def year(result: dict[str, object]) -> int:
    return datetime.fromtimestamp(seconds(result), timezone.utc).year
