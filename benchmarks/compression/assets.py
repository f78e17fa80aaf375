"""Make the table of what three small models lose whose training data one does not have: MobileNetV2, MobileNetV1, FastestDet.

    python benchmarks/compression/assets.py [--phase make time] [--model NAME …] [--only ROW …] [--work FOLDER]

All three are pruned of 10 % and 20 % of their MACs: whole channels go, and nothing is learnt afterwards. All passes are those of
`edgesdk compress`, without its gate, which would refuse the worse ones; what it says of a point is in the results. MobileNetV1
(0.25, person or none), which is small already, has a row of each other pass that can do without labels: *factorise*, *cluster* and
*sparsify* with no training after them, INT8 by calibration alone, and *prune* and *factorise* followed by *distil*, for which the
model itself is the teacher: it learns from unlabelled pictures, each with the model's own answer for a label. It has no batch
normalisation left to fold.

Everything is converted for all four families and run by each (a file for TensorRT by ONNX Runtime where there is no GPU).
Classifiers are judged by how often they still answer the same class as before on the pictures of `benchmarks/table/pictures.json`
with their crops; FastestDet by AP50 on the 27 labelled pictures of COCO. What is chosen by and learnt from are frames of other
videos. Nothing is demanded of the figures; a family that cannot have the model ends the run.

Writes `benchmarks/results/compression_assets.json` and `docs/compressing.md`. What is finished is kept; *time* wants a quiet
machine. The weights come from the folder that EDGESDK_ASSETS names.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import plain_mobilenet  # noqa: E402
from float_labels import labelled_by  # noqa: E402
from phases import ROOT, Model, document, found_of, options_of, run  # noqa: E402
from prune_alone import pruned  # noqa: E402
from rows import Recipe, Rows  # noqa: E402
from table.asset_pictures import Picture, judged_pictures, read, write_calibration  # noqa: E402
from table.cases import FAMILIES, Places, cases  # noqa: E402
from tables import finish  # noqa: E402
from ungated import ungated  # noqa: E402

from edgesdk_converters.source import resolve_source  # noqa: E402
from edgesdk_targets.whole_file import write_whole  # noqa: E402

NAME, SCRIPT = "compression_assets", "benchmarks/compression/assets.py"
SMALL = "vww_mobilenet_v1"
MODELS = ("mobilenet_v2", SMALL, "fastestdet")
_EVERY = 4  # of the pictures that channels are chosen by
_SENSITIVITY = {"ratios": [0.25], "pictures": 40}
_BY_LAYER = {"evaluations": 64, "pictures": 100}
_AUGMENT = {"shift": 0.1, "scale": 0.2, "flip": True, "brightness": 0.2, "contrast": 0.2}
_PLAN = {"epochs": 60, "batch": 32, "learning_rate": 0.001, "threads": 1, "augment": _AUGMENT}
_DISTIL = {"pass": "distil", "temperature": 2, "training": _PLAN}
_FACTORISE, _CLUSTER = {"pass": "factorise", "macs": 0.8}, {"pass": "cluster", "count": 32}
PRUNED = {
    f"prune, {gone} % fewer MACs": Recipe(
        [{"pass": "prune", "macs": 1 - gone / 100, "recover": False}], sensitivity=_SENSITIVITY
    )
    for gone in (10, 20)
}
# Of the small model: everything else that needs no labels.
UNLABELLED = {
    "prune, 20 % fewer MACs + distil": Recipe([{"pass": "prune", "macs": 0.8}, _DISTIL], sensitivity=_SENSITIVITY),
    "prune, 40 % fewer MACs + distil": Recipe([{"pass": "prune", "macs": 0.6}, _DISTIL], sensitivity=_SENSITIVITY),
    "factorise, 20 % fewer MACs": Recipe([_FACTORISE]),
    "factorise, 20 % fewer MACs, by layer": Recipe([_FACTORISE], sensitivity=_BY_LAYER),
    "factorise, 20 % fewer MACs, by layer + distil": Recipe([_FACTORISE, _DISTIL], sensitivity=_BY_LAYER),
    "cluster": Recipe([_CLUSTER]),
    "cluster, by layer": Recipe([_CLUSTER], sensitivity=_BY_LAYER),
    "sparsify": Recipe([{"pass": "sparsify", "amount": 0.3}]),
    "int8": Recipe((), "int8"),
}


def main() -> int:
    """Make the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=MODELS, help="make or time only these")
    options = options_of(parser, NAME, [*PRUNED, *UNLABELLED])
    assets = Path(os.environ.get("EDGESDK_ASSETS") or ROOT.parent / "shared" / "assets")
    if not (assets / "SHA256SUMS").is_file():
        raise SystemExit(f"no real weights in {assets}: name their folder in EDGESDK_ASSETS")
    models = {name: _model(name, assets, options.work) for name in MODELS}
    run({name: models[name] for name in options.model}, options)
    found = found_of(models, options.work)
    table = document(f"python {SCRIPT}", found, lambda _: [])
    return finish(NAME, SCRIPT, table)


def _model(name: str, assets: Path, work: Path) -> Model:
    card = next(case for case in cases() if case.name == name).card(Places(assets, work))
    if name == SMALL:
        card = _plain(card)
    unlabelled = sorted(write_calibration(assets, work / "others").iterdir())
    chosen_by = unlabelled[::_EVERY]
    data = {
        "choose": labelled_by(card, (Picture(read(path), path.name) for path in chosen_by), work / name / "choose"),
        "evaluate": assets / "detection_coco",
    }
    if resolve_source(card).card.task == "classify":
        data["evaluate"] = labelled_by(card, judged_pictures(assets, crops=True), work / name / "evaluate")
    recipes = PRUNED
    if name == SMALL:
        learnt = (path for path in unlabelled if path not in chosen_by)
        data["train"] = labelled_by(card, (Picture(read(path), path.name) for path in learnt), work / name / "train")
        recipes = {**PRUNED, **UNLABELLED}
    return Model(Rows(card, data, tuple(FAMILIES), work / name / "rows", _compressed), recipes, {})


def _plain(card: Path) -> Path:
    """Return the card of the same weights and answers in layers that all passes know."""
    text = card.read_text("utf-8").replace("folded_mobilenets:", f"{plain_mobilenet.__name__}:")
    path = card.with_name(f"plain_{card.name}")
    write_whole(path, f"{text}code: {json.dumps(str(HERE))}\n".encode())
    return path


def _compressed(card: Path, recipe: Recipe, data: Mapping[str, Path], folder: Path) -> tuple[Path, dict[str, Any]]:
    """Run the passes without the gate; those that only prune share what each group of channels bears."""
    return (pruned if recipe in PRUNED.values() else ungated)(card, recipe, data, folder)


if __name__ == "__main__":
    sys.exit(main())
