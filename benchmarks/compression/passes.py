"""Make the table of compression: ResNet-20 on digits, each pass alone and all together, against its own float on the same runtime.

    python benchmarks/compression/passes.py [--phase make time] [--only ROW …] [--work FOLDER] [--quick]

Every row is one `edgesdk compress`, whose result is converted for both runtimes, judged by the test split, and timed on one
thread, all artifacts by turns. *student* is what distillation has to beat: the same pruned model, trained as long, without a
teacher. *by layer* are the passes of the row above with what each layer bears measured first, as `edgesdk compress` does unless it
is told not to; in all other rows it is told not to. What is finished is kept in the work folder: a run that was broken off goes on.
*make* may run on a busy machine; *time* wants a quiet one. Whatever there is is written to
`benchmarks/results/compression_passes.json` and `docs/compressing.md`, and what is missing is named there. `--quick` asks for
little and trains two epochs a pass, to see that all of it works; its figures say nothing, and are only printed.

Of all passes together four things are wanted, on each runtime (`goals.py`); a run in which one is not met or not measured ends
with 1.

ResNet-20's weights are those of `train_reference.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from digit_pictures import write_digits  # noqa: E402
from goals import of_all_passes  # noqa: E402
from phases import Model, document, options_of, run  # noqa: E402
from rows import Recipe, Rows  # noqa: E402
from tables import finish  # noqa: E402

NAME, SCRIPT = "compression_passes", "benchmarks/compression/passes.py"
CARD = HERE / "resnet20.yaml"
FAMILIES = ("OpenVINO", "LiteRT")
ALL = "prune + distil + qat"
_AUGMENT = {"shift": 0.06, "rotate": 10, "scale": 0.1, "contrast": 0.2}
_LONG = {"epochs": 16, "learning_rate": 0.004, "threads": 1, "augment": _AUGMENT}
_SHORT = {"epochs": 3, "learning_rate": 0.0005, "threads": 1}
_LONGER = {**_SHORT, "epochs": 8, "learning_rate": 0.002}
_PRUNE = {"pass": "prune", "macs": 0.12}
_DISTIL = {"pass": "distil", "temperature": 4, "weight": 1.0, "training": _LONG}
_QAT = {"pass": "qat", "training": _SHORT}


def _factorised(part: float) -> dict[str, Any]:
    return {"pass": "factorise", "macs": part, "layers": ["blocks.*"], "recover": _LONGER}


def _clustered(count: int) -> dict[str, Any]:
    return {"pass": "cluster", "count": count, "recover": _SHORT}


PASSES: dict[str, list[dict[str, Any]]] = {
    ALL: [_PRUNE, _DISTIL, {"pass": "fold"}, _QAT],
    "prune + distil": [_PRUNE, _DISTIL],
    "student": [{**_PRUNE, "recover": _LONG}],
    "qat": [{"pass": "fold"}, _QAT],
    "factorise": [_factorised(0.6)],
    "factorise to 35 %": [_factorised(0.35)],
    "cluster": [_clustered(16)],
    "cluster, 4 numbers": [_clustered(4)],
    "sparsify": [{"pass": "sparsify", "amount": 0.8, "recover": _SHORT}],
    "tie": [{"pass": "tie", "groups": [[f"blocks.{n}.conv{m}" for n in (7, 8)] for m in (1, 2)], "recover": _SHORT}],
    "fold": [{"pass": "fold"}],
}
# Rows that are made by layer, too.
SURVEYED = ("factorise", "factorise to 35 %", "cluster", "cluster, 4 numbers")
_SENSITIVITY, _QUICK_SENSITIVITY = {"ratios": [0.5], "pictures": 64}, {"ratios": [0.5], "pictures": 50}
_BY_LAYER, _QUICK_BY_LAYER = {"evaluations": 64, "pictures": 200}, {"evaluations": 12, "pictures": 20}


def main() -> int:
    """Make the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two epochs a pass; figures are printed only")
    options = options_of(parser, NAME, list(recipes(quick=False)))
    options.work /= "quick" if options.quick else "full"
    write_digits(options.work / "digits")
    data = {"train": options.work / "digits" / "train", "evaluate": options.work / "digits" / "test"}
    model = Model(Rows(CARD, data, FAMILIES, options.work), recipes(quick=options.quick), {"prune + distil": [ALL]})
    found = run({"resnet20-digits": model}, options)
    command = f"python {SCRIPT}{' --quick' if options.quick else ''}"
    table = document(command, found, lambda models: of_all_passes(models["resnet20-digits"]["rows"], ALL))
    if options.quick:
        print(json.dumps(table, indent=2))
        return 0
    return finish(NAME, SCRIPT, table)


def recipes(*, quick: bool) -> dict[str, Recipe]:
    """Return the recipe of each row, in the order of the table."""
    found = {}
    for name, passes in PASSES.items():
        found[name] = alike = _recipe(passes, quick=quick)
        if name in SURVEYED:
            found[f"{name}, by layer"] = replace(alike, sensitivity=_QUICK_BY_LAYER if quick else _BY_LAYER)
    return found


def _recipe(passes: list[dict[str, Any]], *, quick: bool) -> Recipe:
    kinds = {one["pass"] for one in passes}
    sensitivity = _QUICK_SENSITIVITY if quick else _SENSITIVITY
    return Recipe(
        [_shortened(one) for one in passes] if quick else passes,
        "int8" if "qat" in kinds else "fp32",
        sensitivity if "prune" in kinds else False,
    )


def _shortened(one: dict[str, Any]) -> dict[str, Any]:
    """Return a pass that asks for little, and learns two epochs."""
    plan = {"epochs": 2, "learning_rate": 0.001}
    mild = {"macs": 0.9, "amount": 0.2, "count": 64}
    learns = {key: plan if key in {"training", "recover"} else value for key, value in one.items()}
    return {**learns, **{key: mild[key] for key in mild if key in one}}


if __name__ == "__main__":
    sys.exit(main())
