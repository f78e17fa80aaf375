"""Is the tuned setting as good as the best fixed one? Real models, three runtimes, three hints.

For each bundle and hint the tuning chooses; then every fixed setting (each variant, threads, streams and pinning) is timed by turns
with it in one process, on other turns than those it was chosen by. The ratio is the best fixed setting's cost over the
tuned one's, so 1 is the best possible, and 0.95 the goal. The cost is what the hint wants to be small; that of `age` holds a
frame's time, and so that nothing is hidden by it, `answer_ratio` is that of the answers alone.

    python benchmarks/tuning.py --assets ASSETS [--out benchmarks/results/tuning.json]

Bundles are built from the cards of tests/real/models, and kept below the cache folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/real/models"))

from edgesdk.benchmark.host import host_facts  # noqa: E402  (the path above comes first)
from edgesdk_targets.bundle.bundle import Bundle, open_bundle  # noqa: E402
from edgesdk_targets.core_claim import claim_cores  # noqa: E402
from edgesdk_targets.machine_load import machine_busy_s  # noqa: E402
from edgesdk_targets.preprocess.opencv import cv2  # noqa: E402
from edgesdk_targets.target import Runtime  # noqa: E402
from edgesdk_targets.tuning.bench import SessionBench  # noqa: E402
from edgesdk_targets.tuning.grid import Given  # noqa: E402
from edgesdk_targets.tuning.ranking import times_as_dear  # noqa: E402
from edgesdk_targets.tuning.setting import Hint, Measured, Setting  # noqa: E402
from edgesdk_targets.tuning.tune import tune  # noqa: E402
from edgesdk_targets.tuning.tune_options import TuneOptions  # noqa: E402
from edgesdk_targets.variant_choice import choose_variants  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

# Target → the runtime that its chain begins with.
TARGETS = {"x86-cpu": "openvino", "generic-onnx": "onnxruntime", "rpi5": "litert"}
PICTURES = {"fastestdet": "detection_coco/images", "mobilenet_v2": "classification/images"}
GOAL = 0.95
_FPS = 30.0
# What others took more of meanwhile is measured again.
_QUIET_CORES, _ATTEMPTS = 0.12, 3


def built(name: str, target: str, assets: Path, folder: Path) -> Path:
    """Return the bundle of a model for a target, float and INT8."""
    path = folder / f"{name}-{target}.edgebundle"
    if not path.exists():
        from real_models import card_for

        from edgesdk_converters.convert import convert

        beside = folder / f"{name}-{target}"
        beside.mkdir(parents=True, exist_ok=True)
        card = card_for(name, assets, beside)
        convert(card, target, output=path, precision=["fp32", "int8"], calib_data=assets / PICTURES[name])
    return path


def fixed_settings(bundle: Bundle, hint: Hint, pins: tuple[bool, ...] = (False,)) -> list[Setting]:
    """Return every way that somebody could have written down: powers of two threads, streams that fit, pinned or not."""
    cores = len(os.sched_getaffinity(0))
    counts = [2**power for power in range(cores.bit_length()) if 2**power <= cores]
    ways = [(threads, 1) for threads in counts]
    if hint is Hint.THROUGHPUT:
        ways += [(threads, cores // threads) for threads in counts if cores // threads > 1]
    found: dict[str, Setting] = {}
    for candidate in choose_variants(bundle.manifest).candidates:
        variant, runtime = candidate.variant, candidate.runtime
        open_pins = pins if runtime is Runtime.OPENVINO else (False,)
        for (threads, streams), pin in product(ways, open_pins):
            made = Setting(variant.id, runtime, variant.precision, threads, streams, pin)
            found.setdefault(str(made), made)
    return list(found.values())


def timed(bundle: Bundle, hint: Hint, settings: list[Setting], rounds: int) -> dict[Setting, Measured]:
    """Time settings by turns; the turn of opening is not counted."""
    bench = SessionBench(bundle, hint, fps=_FPS, cache_dir=None)
    found = {setting: replace(bench.open(setting), rounds=()) for setting in settings}
    for number in range(rounds):
        place = number % len(settings)
        for setting in [*settings[place:], *settings[:place]]:
            found[setting] = found[setting].with_round(bench.turn(setting))
    for setting in settings:
        bench.close(setting)
    return found


def compared(bundle: Bundle, hint: Hint, rounds: int, cache: Path, pins: tuple[bool, ...]) -> dict[str, Any]:
    """Tune, then judge the choice against every fixed setting.

    Args:
        pins: the ways of pinning that are open, as they are to an agent.
    """
    busy = _cpu_times()
    tuning = tune(bundle, hint, TuneOptions(given=Given(pins=pins), fps=_FPS, cache_dir=cache, again=True))
    if tuning.best is None:
        return {"hint": hint.value, "failure": tuning.why}
    chosen = tuning.best.setting
    settings = fixed_settings(bundle, hint, pins)
    figures = timed(bundle, hint, list(dict.fromkeys([*settings, chosen])), rounds)
    best = min(settings, key=lambda setting: figures[setting].cost(hint))
    ratio = times_as_dear(figures[best], figures[chosen], hint)
    return {
        "hint": hint.value,
        "chosen": str(chosen),
        "best_fixed": str(best),
        "ratio": round(ratio, 3),
        "meets_goal": ratio >= GOAL,
        **_answers(hint, settings, chosen, figures),
        "cpu_ratio": round(figures[best].cpu_ms / figures[chosen].cpu_ms, 3),
        "tuning_s": round(tuning.seconds, 1),
        "disturbed": tuning.disturbed,
        "others_cores": round(_others(busy), 2),
        "settings": {
            str(setting): {"cost_ms": round(one.cost(hint), 3), "cpu_ms": round(one.cpu_ms, 3)}
            for setting, one in figures.items()
        },
    }


def _answers(
    hint: Hint, settings: list[Setting], chosen: Setting, figures: dict[Setting, Measured]
) -> dict[str, float]:
    """Return the quickest fixed setting's answer over the tuned one's, where the hint looks at more than that."""
    if hint is not Hint.AGE:
        return {}
    quickest = min(settings, key=lambda setting: figures[setting].cost(Hint.LATENCY))
    return {"answer_ratio": round(times_as_dear(figures[quickest], figures[chosen], Hint.LATENCY), 3)}


def _cpu_times() -> tuple[float, float, float]:
    """Return the wall clock, the machine's busy seconds, and those of this process with its children."""
    own = os.times()
    mine = own.user + own.system + own.children_user + own.children_system
    return time.monotonic(), machine_busy_s() or mine, mine


def _others(before: tuple[float, float, float]) -> float:
    """Return how many cores others kept busy since then."""
    wall, busy, mine = (now - then for now, then in zip(_cpu_times(), before, strict=True))
    return max(0.0, (busy - mine) / wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--assets", type=Path, default=os.environ.get("EDGESDK_ASSETS"))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/tuning_benchmark")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/tuning.json")
    parser.add_argument("--models", nargs="+", default=list(PICTURES), choices=list(PICTURES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--build-only", action="store_true")
    given = parser.parse_args()
    if given.assets is None:
        parser.error("give --assets, the folder of real weights and pictures")
    cv2.setNumThreads(1)
    paths = {
        (name, runtime): built(name, target, Path(given.assets), given.cache)
        for name in given.models
        for target, runtime in TARGETS.items()
    }
    if not given.build_only:
        _measure(paths, given)


def _measure(paths: Mapping[tuple[str, str], Path], given: argparse.Namespace) -> None:
    """Compare bundle by bundle; as an agent does that has the machine to itself, with a claim on the cores."""
    rows = kept_rows(given.out, given.models)
    with ExitStack() as stack:
        claim = claim_cores()
        if claim is not None:
            stack.enter_context(claim)
        pins = (False,) if claim is None else (False, True)
        for (name, runtime), path in paths.items():
            bundle = stack.enter_context(open_bundle(path))
            for hint in Hint:
                tries = []
                for _ in range(_ATTEMPTS):
                    tries.append(compared(bundle, hint, given.rounds, given.cache, pins))
                    if tries[-1].get("others_cores", 0.0) < _QUIET_CORES:
                        break
                found = min(tries, key=lambda one: one.get("others_cores", 0.0))
                rows.append(row := {"model": name, "runtime": runtime, **found})
                write(given.out, rows)
                shown = ("model", "runtime", "hint", "ratio", "chosen", "best_fixed", "others_cores", "tuning_s")
                print(*(row.get(key) for key in shown), sep="  ", flush=True)


def kept_rows(out: Path, anew: list[str]) -> list[dict[str, Any]]:
    """Return the rows of models that are not measured now, if they were measured on this processor."""
    if not out.is_file():
        return []
    before = json.loads(out.read_text("utf-8"))
    if before["host"]["cpu"] != host_facts().cpu:
        return []
    return [row for row in before["rows"] if row["model"] not in anew]


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write what was found so far: a run that is broken off leaves its rows."""
    met = sum(bool(row.get("meets_goal")) for row in rows)
    document = {"goal": GOAL, "met": met, "of": len(rows), "host": host_facts().to_json(), "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
