"""The roll-out engine on many simulated fleets: verdicts against a plain model, and false halts on healthy fleets.

    python benchmarks/rollouts.py [--histories 10000] [--healthy 500] [--hypothesis 0] [--devices 60] [--seed 1] [--json]

Each history is a fleet in which one device in twenty is silent, slow, rejecting, flapping or worse, under a random success
share: it must end as the plain model says. A healthy fleet has figures that vary by a tenth from sample to sample, under a scene
that changes for all; a halt there is a false one. With `--hypothesis 10000` as many histories made by hypothesis are tried too, by
the property of which the test makes 150. Ends with 1 where a verdict differs, or more than 1 % are halted.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk.fleet.rollout.model import Status  # noqa: E402
from edgesdk_testkit.rollout_histories import POLICY, check_histories  # noqa: E402
from edgesdk_testkit.rollout_world import Way, fleet, verdict  # noqa: E402

_BAD = [way for way in Way if way is not Way.GOOD]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--healthy", type=int, default=500)
    parser.add_argument("--hypothesis", type=int, default=0, help="histories made by hypothesis, in addition")
    parser.add_argument("--devices", type=int, default=60, help="most of one fleet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    agree = sum(agrees(options.seed * 1_000_003 + number, options.devices) for number in range(options.histories))
    halts = sum(is_halted(options.seed * 1_000_003 + number, options.devices) for number in range(options.healthy))
    found: dict[str, Any] = {
        "histories": options.histories, "agree": agree, "healthy": options.healthy, "false_halts": halts,
    }  # fmt: skip
    if options.hypothesis:
        # One that does not end as it must is an error, with the smallest that was found.
        found["by_hypothesis"] = dict(check_histories(options.hypothesis, number=options.seed))
    found["seconds"] = round(time.monotonic() - began, 1)
    print(
        json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    )
    return 0 if agree == options.histories and halts <= options.healthy / 100 else 1


def agrees(seed: int, most: int) -> bool:
    """Tell whether one history ends as the plain model says."""
    rng = random.Random(seed)
    ways = [rng.choice(_BAD) if rng.random() < 0.05 else Way.GOOD for _ in range(rng.randint(1, most))]
    world = fleet(ways, seed)
    for model in world.models.values():
        model.takes_s = rng.uniform(300, 500) if model.way is Way.SLOW else rng.uniform(20, 120)
        model.degrades_s = rng.uniform(0, 60)
    policy = POLICY.model_copy(update={"success": rng.choice([0.5, 0.8, 0.9, 0.95, 1.0])})
    rollout = world.begun(policy, key=f"r{seed}")
    expected = verdict(rollout, {name: model.way for name, model in world.models.items()})
    last = world.run(rollout, until=lambda now: now.status.ended)
    return (last.status, last.wave) == expected


def is_halted(seed: int, devices: int) -> bool:
    """Tell whether a healthy fleet is halted."""
    rng = random.Random(seed)
    period = rng.uniform(300, 3000)
    world = fleet([Way.GOOD] * devices, seed, noise=0.1, scene=lambda at: 1.0 if int(at / period) % 2 else 0.7)
    last = world.run(world.begun(POLICY, key=f"r{seed}"), until=lambda now: now.status.ended)
    return last.status is not Status.DONE


if __name__ == "__main__":
    sys.exit(main())
