"""Does a cascade give more than its members for the same time?

    python benchmarks/cascade.py [--each 5] [--steps 500] [--work FOLDER] [--json]

A small classifier of rendered digits and a ResNet-20 are trained here alike (some minutes), and converted; both are kept, so that
the same command measures again on a quiet machine in a minute. For each budget of mean time the threshold is chosen on one half of
new pictures, and everything is measured on the other half, of the same pictures:

- the cascade against the best member that fits the budget: how probable so many more right ones would be by chance (exact,
  corrected for the number of budgets by Holm). Below the large model's time only the small one fits;
- the cascade against both members mixed, the large one asked about pictures drawn at random, as many as take the same mean time:
  the accuracy above that, with its 95 % interval. It is what the doubt is worth;
- the accuracy below the large model's, with its interval: how little of its time is enough.

The test digits are parted in two: a hand's digit of one half is not in the other. Each is drawn several times, and its pictures
count as one. Times of members are taken by turns on one thread; a cascade's is computed from them. The digits are other hands' than
those that the members were trained on. Writes `results/cascade.json` and the table of docs/choosing.md; ends with 1 where the
cascade is not known to be better than both the best member that fits and the mixture at two budgets or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_members import HALVES, SMALL, Watch, beside, labelled_halves, member, network, options_of
from marked_page import Marks
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent / "compression"))

from resnet20 import resnet20

from edgesdk.benchmark.host import host_facts
from edgesdk.evaluate.intervals import Metric, between, resampled_counts
from edgesdk.evaluate.paired_proportions import ALPHA, chance_of_so_little, drop_bounds
from edgesdk.evaluate.significance import holm
from edgesdk.together.cascade import make_cascade
from edgesdk.together.doubt import Budget, at, choose, curve
from edgesdk.together.members import Part
from edgesdk_targets.bundle.bundle import open_bundle

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parent / "docs" / "choosing.md"
NEEDED = 2
# Shares of pictures that the large model may be asked about, and a budget of its own time.
BELOW, FROM_LARGE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6), (1.0,)


def large() -> nn.Module:
    """Return the untrained ResNet-20."""
    torch.manual_seed(1)
    return resnet20()


def measured(work: Path, each: int, steps: int) -> dict[str, Any]:
    """Train what is not kept, and measure both members and the cascade of them."""
    nets = {"small": network(*SMALL, 1), "large": large()}
    paths = [member(name, net, steps, work) for name, net in nets.items()]
    data = labelled_halves(work, each)
    watch = Watch()
    with open_bundle(paths[0]) as first, open_bundle(paths[1]) as second, tempfile.TemporaryDirectory() as folder:
        parts = Part(first), Part(second)
        kinds = {}
        for half in HALVES:
            path = Path(folder) / f"{half}.edgebundle"
            made = make_cascade(*parts, path, data[half], Budget(), rounds=9, slice_s=0.3)
            kinds[half] = next(iter(made.calibrated.values()))
    made_on = {"host": host_facts().to_json(), "others_pct": watch.percent()}
    return {**made_on, "pictures_a_digit": each, "steps": steps, **judged(kinds)}


def judged(kinds: dict[str, Any]) -> dict[str, Any]:
    """Take each budget's threshold as the first half chooses it, and what it gives on the second half."""
    choose_on, judge_on = kinds["choose"].answered, kinds["judge"].answered
    small_ms, large_ms = choose_on.ms
    points = curve(choose_on)
    rows = []
    for budget in [small_ms + share * large_ms for share in BELOW] + [factor * large_ms for factor in FROM_LARGE]:
        point = at(judge_on, choose(points, Budget(ms=budget)).threshold)
        fits = {"small": judge_on.first} | ({"large": judge_on.second} if large_ms <= budget else {})
        best = max(fits, key=lambda name: fits[name].mean())
        right = np.where(judge_on.confidence < point.threshold, judge_on.second, judge_on.first)
        cost = small_ms + point.share * large_ms
        random = np.clip((cost - small_ms) / (large_ms - small_ms), 0.0, 1.0)
        mixed = (1 - random) * judge_on.first + random * judge_on.second
        n, won, lost = by_digit(judge_on.units, right, fits[best])
        *_, above, below = by_digit(judge_on.units, right, judge_on.second)
        rows.append(
            {
                "budget_ms": float(f"{budget:.4g}"),
                "of_large_ms": round(budget / large_ms, 3),
                "share": round(point.share, 4),
                "ms": float(f"{cost:.4g}"),
                "of_large_time": round(cost / large_ms, 3),
                "accuracy": round(float(right.mean()), 4),
                "best_member_that_fits": best,
                "its_accuracy": round(float(fits[best].mean()), 4),
                "won": round(won, 2),
                "lost": round(lost, 2),
                "mixture": round(float(mixed.mean()), 4),
                "above_mixture": mean_of_digits(judge_on.units, right - mixed).to_json(),
                "above_large": above_of(n, above, below),
                "p": chance_of_so_little(n, lost, won, 0.0),
            }
        )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row |= {
            "p": float(f"{row['p']:.3g}"),
            "p_adjusted": float(f"{p:.3g}"),
            "known_to_be_better": p < ALPHA and row["above_mixture"]["low"] > 0,
        }
    members = [
        {"name": name, "ms": float(f"{ms:.4g}"), "accuracy": round(float(right.mean()), 4)}
        for name, ms, right in (("small", small_ms, judge_on.first), ("large", large_ms, judge_on.second))
    ]
    return {"members": members, "budgets": rows}


def by_digit(units: Any, right: Any, other: Any) -> tuple[int, float, float]:
    """Return how many digits there are, and in how many one answers better than the other, and worse; parts count."""
    differences = np.bincount(units, right.astype(float) - other) / np.bincount(units)
    return len(differences), float(differences.clip(min=0).sum()), float((-differences).clip(min=0).sum())


def above_of(n: int, won: float, lost: float) -> dict[str, float]:
    """Return by how much one is above the other, each end of the interval holding with 95 %."""
    least, most = drop_bounds(n, lost, won)
    return {"value": round((won - lost) / n, 6), "low": round(-most, 6), "high": round(-least, 6), "n": n}


def mean_of_digits(units: Any, differences: Any) -> Metric:
    """Return the mean of one number a digit, with the interval of digits drawn anew."""
    of_digits = np.bincount(units, differences) / np.bincount(units)
    counts = resampled_counts(len(of_digits))
    return between(counts @ of_digits / len(of_digits), float(of_digits.mean()), len(of_digits))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options_of(parser, "cascade", 500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.work, options.each, options.steps)
    text = json.dumps(found, indent=1) + "\n"
    (_HERE / "results" / "cascade.json").write_text(text, "utf-8")
    Marks("table", "benchmarks/cascade.py").replace(_PAGE, table(found) + "\n")
    print(text if options.json else table(found))
    return 0 if sum(row["known_to_be_better"] for row in found["budgets"]) >= NEEDED else 1


def table(found: dict[str, Any]) -> str:
    """Return the rows as docs/choosing.md has them."""
    lines = [
        "| | ms a picture, mean | large model asked | right | best alone that fits | p | above the mixture | above the large one |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {m['name']} alone | {m['ms']} | | {m['accuracy']:.4f} | | | | |" for m in found["members"]]
    lines += [
        f"| cascade for {r['of_large_time']:.2f} of the large one's time | {r['ms']} | {r['share']:.1%} | {r['accuracy']:.4f} "
        f"| {r['best_member_that_fits']}, {r['its_accuracy']:.4f} | {_chance(r['p_adjusted'])} "
        f"| {_points(r['above_mixture'])} | {_points(r['above_large'])} |"
        for r in found["budgets"]
    ]
    return "\n".join([*lines, "", beside(found["others_pct"])])


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _points(found: dict[str, float]) -> str:
    return f"{found['value']:+.4f} ({found['low']:+.4f} … {found['high']:+.4f})"


if __name__ == "__main__":
    sys.exit(main())
