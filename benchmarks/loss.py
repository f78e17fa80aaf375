"""Kill broker, recorder and agent at random, and count what is lost.

    python benchmarks/loss.py [--seeds 1 2 3] [--brokers mosquitto iotcore] [--kills 20] [--within 40] [--no-storms] [--no-control]
                              [--anew]

A real agent reports every frame of a camera, a real broker carries the reports, `edgesdk fleet record` stores them, and each
of the three is ended by `kill -9` again and again. Nothing may be missing, nothing may be stored twice, and the agent's outbox
must be empty in the end. The control is the same storm with an agent that forgets a report when the broker has it
(`mqtt.acknowledge: broker`): it must lose some, or the storm proves nothing.

Each storm's outcome is written into `benchmarks/results/loss.json`, in place of that of an earlier storm of the same plan; exit
code 1 where a storm does not show what it must. Six storms and three controls take about nine minutes, and can be run one by one.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.kill_storm import bundle_for_storms, storm  # noqa: E402
from edgesdk_testkit.kill_storm_outcome import StormOutcome, StormPlan  # noqa: E402

RESULTS = ROOT / "benchmarks/results/loss.json"


def main() -> int:
    """Run the storms, write what was found, and judge it."""
    options = _options()
    outcomes = [] if options.anew else earlier(options.out)
    with tempfile.TemporaryDirectory(prefix="edgesdk-loss-") as folder:
        bundle = bundle_for_storms(Path(folder))
        for plan in _plans(options):
            outcome = storm(plan, bundle)
            outcomes = [*(other for other in outcomes if other.plan != plan), outcome]
            print(_line(outcome), file=sys.stderr)
    problems = judged(outcomes)
    document = {
        "made": {"python": platform.python_version(), "machine": platform.machine()},
        "storms": [outcome.to_json() for outcome in outcomes],
        "problems": problems,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(json.dumps(document, indent=1))
    return 1 if problems else 0


def earlier(file: Path) -> list[StormOutcome]:
    """Return what earlier runs found."""
    if not file.exists():
        return []
    outcomes = []
    for storm_ in json.loads(file.read_text("utf-8"))["storms"]:
        fields = {name: value for name, value in storm_.items() if name not in ("plan", "lost")}
        outcomes.append(StormOutcome(StormPlan(**storm_["plan"]), **fields))
    return outcomes


def judged(outcomes: list[StormOutcome]) -> list[str]:
    """Return what the storms do not show that they must."""
    problems = []
    controls = [outcome for outcome in outcomes if outcome.plan.acknowledge == "broker"]
    for outcome in outcomes:
        name = f"{outcome.plan.broker}, seed {outcome.plan.seed}"
        if outcome.plan.acknowledge == "collector" and (outcome.lost or outcome.duplicate_rows or outcome.left):
            problems.append(f"{name}: {_line(outcome)}")
        if sum(outcome.kills.values()) < outcome.plan.kills or len(outcome.kills) < 3:
            problems.append(f"{name}: not each of the three was killed: {outcome.kills}")
    if controls and not any(control.lost for control in controls):
        problems.append("the control lost nothing, so these storms prove nothing")
    return problems


def _plans(options: argparse.Namespace) -> list[StormPlan]:
    plans = [
        StormPlan(broker, seed, options.kills, options.within)
        for broker in options.brokers
        for seed in options.seeds
        if options.storms
    ]
    if options.control:
        plans += [
            StormPlan(options.brokers[0], seed, options.kills, options.within, acknowledge="broker")
            for seed in options.seeds
        ]
    return plans


def _line(outcome: StormOutcome) -> str:
    plan = outcome.plan
    return (
        f"{plan.broker}, seed {plan.seed}, acknowledged by the {plan.acknowledge}: {sum(outcome.kills.values())} kills, "
        f"{outcome.rows} rows, {outcome.lost} lost, {outcome.duplicate_rows} twice, {outcome.left} left in the outbox"
    )


def _options(arguments: Any = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill broker, recorder and agent at random, and count what is lost.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--brokers", nargs="+", choices=("mosquitto", "iotcore"), default=["mosquitto", "iotcore"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--within", type=float, default=40.0, help="seconds")
    parser.add_argument("--storms", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--control", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
