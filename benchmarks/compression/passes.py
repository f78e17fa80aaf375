"""Make the table of compression: ResNet-20 on digits, each pass alone and all together, against its own float on the same runtime.

    python benchmarks/compression/passes.py [--quick] [--only ROW …] [--work FOLDER]

Every row is one `edgesdk compress`, whose result is also converted for the second target, and timed by `edgesdk benchmark` on one
thread. *student* is what distillation has to beat: the same pruned model, trained as long, without a teacher. What is finished
is kept in the work folder: a run that was broken off goes on. `--quick` asks for little and trains two epochs a pass, to see that
all of it works; its figures say nothing, and are only printed. A full run writes `benchmarks/results/compression_passes.json`.

Of all passes together four things are wanted, on each runtime (`goals.py`); a full run in which one is not met ends with 1.

ResNet-20's weights are those of `train_reference.py`. Timing wants a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "compression_passes.json"
CARD = HERE / "resnet20.yaml"
sys.path.insert(0, str(HERE))

from asked import asked  # noqa: E402
from digit_pictures import write_digits  # noqa: E402
from goals import ALL, judged  # noqa: E402

from edgesdk_targets.whole_file import write_whole  # noqa: E402

TARGETS = {"openvino": "x86-cpu", "litert": "rpi5"}
_LONG, _SHORT = {"epochs": 60, "learning_rate": 0.002}, {"epochs": 15, "learning_rate": 0.0005}
_PRUNE = {"pass": "prune", "macs": 0.22, "recover": _LONG}
_DISTIL = {"pass": "distil", "temperature": 4, "weight": 1.0, "training": _LONG}
_QAT = {"pass": "qat", "training": _SHORT}
_PRUNED = {**_PRUNE, "recover": None}
ROWS: dict[str, list[dict[str, Any]]] = {
    "fold": [{"pass": "fold"}],
    "student": [_PRUNE],
    "prune + distil": [_PRUNED, _DISTIL],
    "factorise": [{"pass": "factorise", "macs": 0.5, "recover": _SHORT}],
    "sparsify": [{"pass": "sparsify", "amount": 0.8, "recover": _SHORT}],
    "cluster": [{"pass": "cluster", "count": 16, "recover": _SHORT}],
    "qat": [{"pass": "fold"}, _QAT],
    ALL: [_PRUNED, _DISTIL, {"pass": "fold"}, _QAT],
}


def main() -> None:
    """Make the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "compression_passes")
    parser.add_argument("--quick", action="store_true", help="two epochs a pass; figures are printed only")
    options = parser.parse_args()
    work = options.work / ("quick" if options.quick else "full")
    write_digits(work / "digits")
    found: dict[str, Any] = {"none": _baseline(work)}
    for name in options.only:
        print(name, file=sys.stderr, flush=True)
        found[name] = _row(name, work, quick=options.quick)
    if ALL in found:
        found["goals"] = judged(found)
        for one in found["goals"]:
            said = "met" if one["met"] else "not met"
            print(f"{one['what']} on {one['runtime']}: {one['found']:.4g}, {one['wanted']}: {said}", file=sys.stderr)
    if options.quick or options.only != list(ROWS):
        print(json.dumps(found, indent=2))
        return
    write_whole(RESULTS, (json.dumps(found, indent=2) + "\n").encode())
    print(RESULTS)
    if not all(one["met"] for one in found["goals"]):
        raise SystemExit(1)


def _baseline(work: Path) -> dict[str, Any]:
    return {
        "artifacts": {
            name: _artifact(CARD, target, "fp32", work / "none" / name, work / "digits")
            for name, target in TARGETS.items()
        }
    }


def _row(name: str, work: Path, *, quick: bool) -> dict[str, Any]:
    folder = work / name.replace(" ", "")
    passes = [_shortened(one) if quick else one for one in ROWS[name]]
    recipe = {
        "data": {"train": str(work / "digits/train"), "evaluate": str(work / "digits/test")},
        "passes": [{key: value for key, value in one.items() if value is not None} for one in passes],
        "sensitivity": {"ratios": [0.5], "pictures": 100} if quick else {},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json.yaml").write_text(json.dumps(recipe))
    words = ("compress", CARD, "--recipe", folder / "recipe.json.yaml", "--target", TARGETS["openvino"], "-o", folder)
    # Where a pass alone loses more, that is a figure of its row.
    done = asked(*words, "--max-drop", "0.9" if quick else "0.5")
    precision = "int8" if any("qat" in one.values() for one in passes) else "fp32"
    artifacts = {
        runtime: _artifact(Path(done["card"]), target, precision, folder / runtime, work / "digits")
        for runtime, target in TARGETS.items()
    }
    keys = ("figure", "score", "before", "after", "sensitivity")
    brief = [
        {key: one[key] for key in ("kind", "score_applied", "score", "outcome", "reason")} for one in done["passes"]
    ]
    return {**{key: done[key] for key in keys}, "passes": brief, "artifacts": artifacts}


def _shortened(one: dict[str, Any]) -> dict[str, Any]:
    """Return a pass that asks for little, and learns two epochs."""
    plan = {"epochs": 2, "learning_rate": 0.001}
    mild = {"macs": 0.9, "amount": 0.2, "count": 64}
    learns = {key: plan if key in {"training", "recover"} and value else value for key, value in one.items()}
    return {**learns, **{key: mild[key] for key in mild if key in one}}


def _artifact(card: Path, target: str, precision: str, folder: Path, digits: Path) -> dict[str, Any]:
    """Return one artifact's bytes, its accuracy on the test split, and its time on one thread."""
    bundle = folder / "made.edgebundle"
    pictures = ("--calib-data", digits / "train") if precision == "int8" else ()
    made = asked("convert", card, "--target", target, "--precision", precision, *pictures, "-o", bundle)["variants"][0]
    timed = asked("benchmark", bundle, "--threads", "1")["variants"][0]
    return {
        "runtime": made["runtime"],
        "precision": made["precision"],
        "bytes": made["bytes"],
        "timed": timed,
        "test": asked("evaluate", bundle, "--data", digits / "test")["metrics"]["top1"],
    }


if __name__ == "__main__":
    main()
