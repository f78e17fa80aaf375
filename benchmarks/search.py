"""Does a search find what a person did not, and does TPE find it sooner than chance?

    python benchmarks/search.py [--trials 60] [--minutes 40] [--table 120] [--json]

1. `edgesdk search` over networks and training plans for scikit-learn's digits (1,797 pictures, 30 % of them to judge by),
   converted and timed, within so many trials and minutes: does it find a configuration that is at least as accurate and as fast as
   one made by hand, and better in one?
2. TPE and random under a limit on bytes that one of ten configurations drawn at random keeps: 40 proposals for each of twenty
   seeds. What a proposal answers is learnt by a random forest from `--table` configurations, drawn at random, each really trained
   and judged once (as by Eggensperger et al., Efficient benchmarking of hyperparameter optimizers via surrogates, AAAI 2015); its
   bytes are those of its network's weights. Which has the better best within the limit: by the mean of the first five seeds, and by
   how many of all seeds it wins?

Writes `results/search.json`; ends with 1 where 1 finds none, TPE's mean of five is not above random's, or it does not win more
seeds than chance would give it (sign test, one-sided, 5 %).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "digits"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "search_parts"))

from make_data import Digits, load_all, split

from edgesdk.benchmark.host import host_facts
from edgesdk.evaluate.paired_proportions import ALPHA
from edgesdk.search.asking import Asked
from edgesdk.search.space import Space
from edgesdk.search.study import Study
from edgesdk.search_run.search import search

PARTS = Path(__file__).parent / "search_parts"
CARD = """
name: small-net
factory: small_nets:net
task: classify
input: {name: image, shape: [1, 1, 16, 16]}
preprocess: {color: gray, size: [16, 16], mean: [0], std: [255]}
labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
"""
# What a person would write down first.
BASELINE = {
    "factory_args.width": 16,
    "factory_args.depth": 2,
    "factory_args.growth": 2.0,
    "factory_args.kernel": 3,
    "factory_args.hidden": 64,
    "train.learning_rate": 1e-3,
    "deploy.threads": 1,
}
PARAMETERS: dict[str, Any] = {
    "factory_args.width": {"low": 3, "high": 24},
    "factory_args.depth": {"low": 1, "high": 4},
    "factory_args.growth": {"choice": [1.0, 1.5, 2.0]},
    "factory_args.kernel": {"choice": [3, 5]},
    "factory_args.hidden": {"choice": [0, 32, 64]},
    "train.learning_rate": {"low": 3e-4, "high": 3e-2, "log": True},
    "deploy.threads": {"choice": [1, 2]},
}
PLAN = {"epochs": 6, "batch": 64, "device": "cpu", "threads": 1, "workers": 1}
SEEDS, FIRST, PROPOSALS = range(20), 5, 40
_KEPT_BY = 0.1  # of configurations drawn at random, the limit of part 2


def write_pictures(folder: Path, digits: Digits) -> None:
    for number, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{number:04d}.png"), np.minimum(image.astype(np.int32) * 16, 255).astype(np.uint8))


def site(folder: Path) -> Path:
    """Write card, code, pictures and space, and return the space's path."""
    train, test = split(load_all())
    write_pictures(folder / "train", train)
    write_pictures(folder / "judge", test)
    (folder / "small_nets.py").write_text((PARTS / "small_nets.py").read_text("utf-8"), "utf-8")
    (folder / "card.yaml").write_text(CARD, "utf-8")
    path = folder / "space.yaml"
    path.write_text(json.dumps(space_fields()), "utf-8")
    return path


def space_fields(**changes: Any) -> dict[str, Any]:
    return {
        "model": "card.yaml",
        "target": "x86-cpu",
        "data": "judge",
        "train_data": "train",
        "objectives": ["top1", "ms"],
        "parameters": PARAMETERS,
        "baseline": BASELINE,
        "train": PLAN,
        **changes,
    }


def found_by_search(path: Path, trials: int, minutes: float) -> dict[str, Any]:
    cpu, wall = cpu_s(), time.monotonic()
    done = search(path, path.parent / "tpe", changes={"trials": trials, "minutes": minutes}, say=print_line)
    baseline = next(trial for trial in done.trials if trial.is_baseline)
    better = [trial for trial in done.trials if trial.number in done.verdict.beat_baseline]
    return {
        "trials": len(done.trials),
        "cpu_s": round(cpu_s() - cpu),
        "wall_s": round(time.monotonic() - wall),
        "baseline": baseline.to_json(),
        "dominate_it": [trial.to_json() for trial in sorted(better, key=lambda t: -t.figures["top1"])[:5]],
        "how_many_dominate_it": len(better),
        "all": [trial.to_json() for trial in done.trials],
        "front": [trial.to_json() for trial in done.trials if trial.number in done.verdict.front],
        "importance": dict(done.importance),
    }


def cpu_s() -> float:
    """Return the processor time of this process and of all its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def table_of(path: Path, count: int, minutes: float) -> list[tuple[dict[str, Any], float]]:
    """Really carry out configurations that are drawn at random; return each with its accuracy."""
    changes = {"trials": count, "minutes": minutes, "sampler": "random", "seed": 77, "baseline": {}}
    done = search(path, path.parent / "table", changes=changes, say=print_line)
    rows = [trial for trial in done.trials if trial.ending == "finished" and trial.same_as is None]
    return [(dict(trial.parameters), trial.figures["top1"]) for trial in rows]


def contest(table: list[tuple[dict[str, Any], float]], folder: Path) -> dict[str, Any]:
    """Let both samplers choose, and return the best that each has within the limit after all its proposals."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import cross_val_score

    inputs, accuracy = [position(row) for row, _ in table], [value for _, value in table]
    forest = RandomForestRegressor(300, min_samples_leaf=2, random_state=0)
    explained = cross_val_score(forest, inputs, accuracy, cv=10, scoring="r2")
    forest.fit(inputs, accuracy)
    limit = round(float(np.quantile([weight_bytes(row) for row, _ in table], _KEPT_BY)))

    def answer(asked: Asked) -> dict[str, float]:
        return {
            "top1": float(forest.predict([position(asked.parameters)])[0]),
            "bytes": float(weight_bytes(asked.parameters)),
        }

    best: dict[str, list[float]] = {}
    for sampler in ("tpe", "random"):
        for seed in SEEDS:
            fields = space_fields(
                objectives=["top1"], limits={"bytes": limit}, sampler=sampler, seed=seed, trials=PROPOSALS
            )
            study = Study(Space.model_validate(fields | {"baseline": {}}), folder / f"{sampler}-{seed}")
            study.run(answer)
            values = [trial.figures["top1"] for trial in study.trials() if trial.fits]
            best.setdefault(sampler, []).append(round(max(values, default=0.0), 5))
    won, lost = (
        sum(one > other for one, other in zip(best[name], best[rival], strict=True))
        for name, rival in (("tpe", "random"), ("random", "tpe"))
    )
    return {
        "table": len(table),
        "explained_r2": round(float(explained.mean()), 3),
        "limit_bytes": limit,
        "best": best,
        "mean_of_first_five": {sampler: round(float(np.mean(values[:FIRST])), 5) for sampler, values in best.items()},
        "seeds": {"tpe_better": won, "random_better": lost, "alike": len(SEEDS) - won - lost},
        "p": float(f"{sign_test(won, lost):.3g}"),
    }


def sign_test(won: int, lost: int) -> float:
    """Return how probable it is that a fair coin wins so often or more often."""
    return sum(math.comb(won + lost, wins) for wins in range(won, won + lost + 1)) / 2 ** (won + lost)


def weight_bytes(parameters: Mapping[str, Any]) -> int:
    """Return the bytes of a configuration's weights in float32."""
    from small_nets import net

    arguments = {
        name.partition(".")[2]: value for name, value in parameters.items() if name.startswith("factory_args.")
    }
    return 4 * sum(weight.numel() for weight in net(**arguments).parameters())


def position(parameters: Mapping[str, Any]) -> list[float]:
    """Return a configuration as numbers, each parameter on a scale of 0 to 1."""
    return [scaled(name, parameters[name]) for name in PARAMETERS]


def scaled(name: str, value: Any) -> float:
    one = PARAMETERS[name]
    if "choice" in one:
        return float(one["choice"].index(value)) / max(1, len(one["choice"]) - 1)
    if one.get("log"):
        return float(np.log(value / one["low"]) / np.log(one["high"] / one["low"]))
    return float((value - one["low"]) / (one["high"] - one["low"]))


def print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=40, help="of each of the two searches")
    parser.add_argument("--table", type=int, default=120)
    parser.add_argument("--folder", type=Path, help="keep everything here, and go on with it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgesdk-search-") as name:
        folder = options.folder or Path(name)
        path = site(folder)
        one = found_by_search(path, options.trials, options.minutes)
        with tempfile.TemporaryDirectory(prefix="edgesdk-contest-") as scratch:
            two = contest(table_of(path, options.table, options.minutes), Path(scratch))
    found = {"host": host_facts().to_json(), "search": one, "contest": two}
    text = json.dumps(found, indent=1) + "\n"
    (Path(__file__).parent / "results" / "search.json").write_text(text, "utf-8")
    print(text if options.json else summary(found))
    means = two["mean_of_first_five"]
    return 0 if one["how_many_dominate_it"] and means["tpe"] > means["random"] and two["p"] < ALPHA else 1


def summary(found: dict[str, Any]) -> str:
    """Return both answers in words."""
    one, two = found["search"], found["contest"]
    base, means, seeds = one["baseline"]["figures"], two["mean_of_first_five"], two["seeds"]
    return (
        f"{one['how_many_dominate_it']} of {one['trials']} trials dominate the baseline "
        f"({base['top1']:.4f} in {base['ms']:.3f} ms), in {one['cpu_s']} s of processor time; mean of the best over the first "
        f"{FIRST} seeds: TPE {means['tpe']:.4f}, random {means['random']:.4f}; of {len(SEEDS)} seeds TPE is better in "
        f"{seeds['tpe_better']}, random in {seeds['random_better']} (p {two['p']})."
    )


if __name__ == "__main__":
    sys.exit(main())
