"""Does a cascade give more than its members for the same time?

    python benchmarks/cascade.py [--each 5] [--steps 500] [--json]

A small classifier of rendered digits and a ResNet-20 are trained here alike (some minutes), and converted. For each budget of mean
time the threshold is chosen on one half of new pictures, and everything is measured on the other half, of the same pictures:

- the cascade against the best member that fits the budget: how probable so many more right ones would be by chance (exact,
  corrected for the number of budgets by Holm). Below the large model's time only the small one fits;
- the cascade against both members mixed, the large one asked about pictures drawn at random, as many as take the same mean time:
  the accuracy above that, with its 95 % interval. It is what the doubt is worth;
- the accuracy below the large model's, with its interval: how little of its time is enough.

The test digits are parted in two: a hand's digit of one half is not in the other. Each is drawn several times, and its pictures
count as one. Times of members are taken by turns on one thread; a cascade's is computed from them. The digits are other hands' than
those that the members were trained on. Writes `results/cascade.json`; ends with 1 where the cascade is not known to be better than
both the best member that fits and the mixture at two budgets or more.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "digits"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "compression"))

from digits_inputs import Inputs, card_file
from drawn_training import check_steps, fit_drawn
from make_data import Digits, load_all, split
from render_pictures import Renderer
from resnet20 import resnet20
from train_classifier import drawn_crops

from edgesdk.benchmark.host import host_facts
from edgesdk.evaluate.intervals import Metric, between, resampled_counts
from edgesdk.evaluate.paired_proportions import ALPHA, chance_of_so_little, drop_bounds
from edgesdk.evaluate.significance import holm
from edgesdk.together.cascade import make_cascade
from edgesdk.together.doubt import Budget, at, choose, curve
from edgesdk.together.members import Part
from edgesdk.train.losses import loss_for
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle

NEEDED = 2
# Shares of pictures that the large model may be asked about, and a budget of its own time.
BELOW, FROM_LARGE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6), (1.0,)
_BATCH = 96


def tiny() -> Any:
    """Return the untrained small network."""
    from torch import nn

    def unit(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        nn.AvgPool2d(2), *unit(1, 6), nn.MaxPool2d(2), *unit(6, 12), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(192, 10)
    )


def steps_of(text: str) -> int:
    """Read how many steps a training takes.

    Raises:
        argparse.ArgumentTypeError: no training can take so many.
    """
    try:
        steps = int(text)
        check_steps(steps)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return steps


def trained(name: str, model: Any, digits: Digits, steps: int) -> Any:
    source, inputs, card = Renderer(digits, 1), Inputs("classifier"), card_file("classifier")
    print(f"{name} is trained", file=sys.stderr)
    fit_drawn(
        model,
        card,
        lambda count: drawn_crops(source, inputs, count),
        steps=steps,
        batch=_BATCH,
        peak_rate=4e-3,
        seed=1,
        loss=loss_for(card, label_smoothing=0.02),
    )
    return model


def write_pictures(folder: Path, digits: Digits, each: int) -> Path:
    """Draw each digit so many times, and write a table that says which pictures show the same one."""
    (folder / "images").mkdir(parents=True)
    lines = [("file", "label", "group")]
    for number, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        renderer = Renderer(Digits(image[None], np.array([label])), number)
        for copy in range(each):
            name = f"images/{number:04d}-{copy}.png"
            cv2.imwrite(str(folder / name), renderer.crop()[0])
            lines.append((name, str(label), str(number)))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder


def converted(name: str, model: Any, folder: Path) -> Path:
    from digits_inputs import card

    fields = {key: value for key, value in card("classifier").items() if key not in {"source", "factory"}}
    fields |= {"name": name, "labels": [str(digit) for digit in range(10)]}
    return convert(model.eval(), ["x86-cpu"], output=folder / f"{name}.edgebundle", card=fields).path


def measured(folder: Path, each: int, steps: int) -> dict[str, Any]:
    train, test = split(load_all())
    paths = {
        name: converted(name, trained(name, network(), train, steps), folder)
        for name, network in (("tiny", tiny), ("large", resnet20))
    }
    data = {
        half: write_pictures(folder / half, Digits(test.images[start::2], test.labels[start::2]), each)
        for start, half in enumerate(("choose", "judge"))
    }
    with open_bundle(paths["tiny"]) as small, open_bundle(paths["large"]) as large:
        parts = Part(small), Part(large)
        kinds = {}
        for half, place in data.items():
            made = make_cascade(*parts, folder / f"{half}.edgebundle", place, Budget(), rounds=9, slice_s=0.3)
            kinds[half] = next(iter(made.calibrated.values()))
    return {"host": host_facts().to_json(), "pictures_a_digit": each, **judged(kinds)}


def judged(kinds: dict[str, Any]) -> dict[str, Any]:
    """Take each budget's threshold as the first half chooses it, and what it gives on the second half."""
    choose_on, judge_on = kinds["choose"].answered, kinds["judge"].answered
    small_ms, large_ms = choose_on.ms
    points = curve(choose_on)
    rows = []
    for budget in [small_ms + share * large_ms for share in BELOW] + [factor * large_ms for factor in FROM_LARGE]:
        point = at(judge_on, choose(points, Budget(ms=budget)).threshold)
        fits = {"tiny": judge_on.first} | ({"large": judge_on.second} if large_ms <= budget else {})
        member = max(fits, key=lambda name: fits[name].mean())
        right = np.where(judge_on.confidence < point.threshold, judge_on.second, judge_on.first)
        cost = small_ms + point.share * large_ms
        random = np.clip((cost - small_ms) / (large_ms - small_ms), 0.0, 1.0)
        mixed = (1 - random) * judge_on.first + random * judge_on.second
        n, won, lost = by_digit(judge_on.units, right, fits[member])
        *_, above, below = by_digit(judge_on.units, right, judge_on.second)
        rows.append(
            {
                "budget_ms": float(f"{budget:.4g}"),
                "of_large_ms": round(budget / large_ms, 3),
                "share": round(point.share, 4),
                "ms": float(f"{cost:.4g}"),
                "of_large_time": round(cost / large_ms, 3),
                "accuracy": round(float(right.mean()), 4),
                "best_member_that_fits": member,
                "its_accuracy": round(float(fits[member].mean()), 4),
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
        for name, ms, right in (("tiny", small_ms, judge_on.first), ("large", large_ms, judge_on.second))
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
    parser.add_argument("--each", type=int, default=5, help="pictures of each digit")
    parser.add_argument("--steps", type=steps_of, default=500, help="of each training, a multiple of ten")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgesdk-cascade-") as name:
        found = measured(Path(name), options.each, options.steps)
    text = json.dumps(found, indent=1) + "\n"
    (Path(__file__).parent / "results" / "cascade.json").write_text(text, "utf-8")
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
    return "\n".join(lines)


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _points(found: dict[str, float]) -> str:
    return f"{found['value']:+.4f} ({found['low']:+.4f} … {found['high']:+.4f})"


if __name__ == "__main__":
    sys.exit(main())
