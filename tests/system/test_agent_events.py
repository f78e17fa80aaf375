"""The recipes of docs/events.md: the real agent on the conveyor, whose truth is known, over a real broker."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_targets.messages.scene_event import SceneEventData
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.conveyor_truth import true_digits
from edgesdk_testkit.mqtt_listener import MqttListener

pytestmark = pytest.mark.system

FRAMES, FPS = 600, 30
LEFT, MIDDLE, RIGHT = 80, 160, 240

RECIPES = """
events:
  report: {report}
  summary_interval_s: 0
  zones:
    - {{name: middle, polygon: [[0.25, 0], [0.75, 0], [0.75, 1], [0.25, 1]], anchor: centre}}
  lines:
    - {{name: gate, points: [[0.5, 0], [0.5, 1]], anchor: centre}}
  rules:
    - {{name: passed, kind: crossing, line: gate, max_per_min: 1000}}
    - {{name: full, kind: occupancy, zone: middle, at_least: 6, max_per_min: 1000}}
    - {{name: stays, kind: dwell, zone: middle, seconds: 0.5, max_per_min: 1000}}
    - {{name: waiting, kind: queue, zone: middle, wait_s: 0.4, max_per_min: 1000}}
    - {{name: things, kind: object, max_per_min: {objects_per_min}}}
"""


def run_recipes(
    folder: Path, bundle: Path, *, report: str = "every_frame", objects_per_min: int = 1000
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Run the agent on the conveyor; return its results, its events' data, and its summary."""
    config = folder / "edgesdk.yaml"
    rules = RECIPES.format(report=report, objects_per_min=objects_per_min)
    # Every summary is the last one: the run ends before the first is due.
    rules = rules.replace("summary_interval_s: 0", "summary_interval_s: 3600")
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        source = f"conveyor:?frames={FRAMES}&fps={FPS}&live=0&seed=4&truth={folder / 'truth.jsonl'}"
        config.write_text(
            f"bundle: {bundle}\nmqtt: {{url: '{broker.address}'}}\n"
            f"cameras:\n  - {{name: belt, source: '{source}'}}\n{rules}"
        )
        with AgentProcess("--config", config) as agent:
            code, summary = agent.finish()
        assert code == 0, agent.log
        heard = listener.wait_until(lambda all_: any(h.body.get("state") == "offline" for h in all_))
    events = [h.body for h in heard if h.channel == "up/event" and h.body["name"].startswith("scene_")]
    for event in events:
        SceneEventData.model_validate_json(SceneEventData.model_validate(event["data"]).model_dump_json(by_alias=True))
        assert event["camera"] == "belt"
        assert event["message"].startswith(event["data"]["rule"] or "summary")
    return [h.body for h in heard if h.channel == "up/result"], [e["data"] for e in events], summary


def test_counts_occupancy_dwell_and_queue_are_those_of_the_truth(digits_bundle: Path, tmp_path: Path) -> None:
    """Stated tolerance: counts within 2 % of the truth, means within 3 %, stays and waiting within two frames."""
    results, events, summary = run_recipes(tmp_path, digits_bundle)
    digits, frames = true_digits(tmp_path / "truth.jsonl")
    assert (frames, len(results)) == (FRAMES, FRAMES)
    (told,) = [e["after"]["rules"] for e in events if e["kind"] == "summary"]
    by_rule = {name: [e for e in events if e["rule"] == name] for name in told}

    # Count across a line.
    crossed = [digit for digit in digits if digit.crosses(MIDDLE)]
    assert len(crossed) > 60
    counts = told["passed"]["counts"]
    assert counts["out"] == 0
    assert counts["in"] == pytest.approx(len(crossed), rel=0.02)
    assert len(by_rule["passed"]) == counts["in"] == by_rule["passed"][-1]["after"]["counts"]["in"]
    sevens = [e for e in by_rule["passed"] if e["after"]["label"] == "7"]
    assert len(sevens) == pytest.approx(sum(d.label == "7" for d in crossed), abs=1)

    # Occupancy.
    inside = [0] * FRAMES
    for digit in digits:
        for frame in digit.frames_within(LEFT, RIGHT):
            inside[frame] += 1
    occupancy = told["full"]["count"]
    assert occupancy["mean"] == pytest.approx(sum(inside) / FRAMES, rel=0.03)
    assert occupancy["max"] == pytest.approx(max(inside), abs=1)
    times_full = sum(now >= 6 > before for before, now in zip([0, *inside], inside, strict=False))
    assert sum(e["phase"] == "new" for e in by_rule["full"]) == pytest.approx(times_full, abs=max(2, times_full // 4))

    # Dwell: those that came and went while we looked.
    stays = [digit.frames_within(LEFT, RIGHT) for digit in digits]
    whole = [frames for frames in stays if frames and frames[0] > 5 and frames[-1] < FRAMES - 5]
    ended = [e["after"]["stayed_s"] for e in by_rule["stays"] if e["phase"] == "end" and "stayed_s" in e["after"]]
    begun = [e for e in by_rule["stays"] if e["phase"] == "new"]
    assert len(begun) == pytest.approx(sum(len(frames) >= FPS / 2 for frames in stays), rel=0.03)
    mean_s = sum(len(frames) for frames in whole) / len(whole) / FPS
    assert sum(ended) / len(ended) == pytest.approx(mean_s, abs=2 / FPS)

    # Queue: who is in for 0.4 s.
    waiting = [0] * FRAMES
    for frames_in in stays:
        for frame in frames_in[round(0.4 * FPS) :]:
            waiting[frame] += 1
    # Who leaves is believed to have left two frames later: the zone's inertia.
    late = 2 * sum(len(frames_in) > 0 for frames_in in stays) / FRAMES
    assert told["waiting"]["length"]["mean"] == pytest.approx(sum(waiting) / FRAMES + late / 2, abs=late / 2)
    assert told["waiting"]["length"]["max"] == pytest.approx(max(waiting), abs=1)

    # Life-cycle: ids are stable, each story is new, update…, end, and before is what was told last.
    for name in ("things", "full", "stays", "waiting"):
        for number in {e["id"] for e in by_rule[name]}:
            story = [e for e in by_rule[name] if e["id"] == number]
            assert [e["phase"] for e in story] == ["new", *["update"] * (len(story) - 2), "end"], (name, story)
            assert story[0]["before"] is None
            assert all(b["before"] == a["after"] for a, b in pairwise(story))
    # Every digit is one object: ids do not multiply.
    assert sum(e["phase"] == "new" for e in by_rule["things"]) == pytest.approx(len(digits), rel=0.06)
    assert summary["events"] == {"told": len(events) - 1, "held_back": 0, "unchanged": 0}
    tracked = [one for result in results for one in result["result"]["objects"]]
    assert sum(one["track_id"] > 0 for one in tracked) > 0.9 * len(tracked)


def test_reports_on_change_and_a_few_a_minute_say_less_and_count_it(digits_bundle: Path, tmp_path: Path) -> None:
    results, events, summary = run_recipes(tmp_path, digits_bundle, report="changes", objects_per_min=10)
    # The belt never stands still, and yet most frames say nothing new.
    assert len(results) < FRAMES / 2
    assert len(results) + summary["events"]["unchanged"] == FRAMES == summary["frames"]["processed"]
    (told,) = [e["after"]["rules"] for e in events if e["kind"] == "summary"]
    things = [e for e in events if e["rule"] == "things"]
    # At most ten in the film's 20 seconds, besides the ends that the end of the run brings.
    assert told["things"]["told"] == len(things)
    assert sum(e["phase"] != "end" for e in things) <= 10
    assert told["things"]["held_back"] > 50
    assert summary["events"]["held_back"] == told["things"]["held_back"]
    # What was held back is missing in messages, not in numbers.
    digits, _ = true_digits(tmp_path / "truth.jsonl")
    assert sum(told["things"]["objects"].values()) == pytest.approx(len(digits), rel=0.06)
    news = {e["id"] for e in things if e["phase"] == "new"}
    assert {e["id"] for e in things if e["phase"] == "end"} == news
    assert told["passed"]["counts"]["in"] == pytest.approx(sum(d.crosses(MIDDLE) for d in digits), rel=0.02)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ("{rules: [{name: a, kind: crossing, line: gate}]}", "asks for the line 'gate'"),
        ("{rules: [{name: a, kind: label}]}", "for the task 'detect'"),
        ("{zones: [{name: z, cameras: [door], polygon: [[0, 0], [1, 0], [1, 1]]}]}", "'door', which there is not"),
        ("{rules: [{name: a, kind: crossings}]}", "events.rules[0]"),
        ("{tracker: {lost_s: 0}}", "events.tracker.lost_s"),
    ],
)
def test_rules_that_cannot_be_are_refused_at_the_start(
    digits_bundle: Path, tmp_path: Path, events: str, said: str
) -> None:
    config = tmp_path / "edgesdk.yaml"
    config.write_text(
        f"bundle: {digits_bundle}\ncameras: [{{name: belt, source: 'conveyor:?frames=2&live=0'}}]\nevents: {events}\n"
    )
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, _ = agent.finish()
    assert code == 2
    assert said in agent.log
    assert "Traceback" not in agent.log
