"""Make the table of pruning without retraining: MobileNetV2, a small MobileNetV1 and FastestDet with 10 % and 20 % fewer MACs.

    python benchmarks/compression/assets.py [--phase make time] [--only ROW …] [--work FOLDER]

Whole channels go, and nothing is learnt afterwards: this is what pruning costs a model whose training data one does not have. The
pass is that of `edgesdk compress`, without its gate, which would refuse the worse ones; what it says of a point is in the results.
Everything is converted in float32 for all four families and run by each (a file for TensorRT by ONNX Runtime where there is no
GPU). Classifiers are judged by how often they still answer the same class as before on the pictures of
`benchmarks/table/pictures.json` with their crops; FastestDet by AP50 on the 27 labelled pictures of COCO. Which channels go is
decided on other pictures, with the unpruned model's own answers as labels. Nothing is demanded of the figures; a family that cannot
have the model ends the run. The MobileNetV1 (0.25, person or none) is the model that is small already.

Writes `benchmarks/results/compression_assets.json` and `docs/compressing.md`. What is finished is kept; *time* wants a quiet
machine. The weights come from the folder that EDGESDK_ASSETS names.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from float_labels import labelled_by  # noqa: E402
from phases import ROOT, Model, document, options_of, run  # noqa: E402
from prune_alone import pruned  # noqa: E402
from rows import Recipe, Rows  # noqa: E402
from table.asset_pictures import Picture, judged_pictures, read, write_calibration  # noqa: E402
from table.cases import FAMILIES, Places, cases  # noqa: E402
from tables import finish  # noqa: E402

from edgesdk_converters.source import resolve_source  # noqa: E402

NAME, SCRIPT = "compression_assets", "benchmarks/compression/assets.py"
MODELS = ("mobilenet_v2", "vww_mobilenet_v1", "fastestdet")
_EVERY = 4  # of the pictures that channels are chosen by
_SENSITIVITY = {"ratios": [0.25], "pictures": 40}
RECIPES = {
    f"prune, {gone} % fewer MACs": Recipe(
        [{"pass": "prune", "macs": 1 - gone / 100, "recover": False}], sensitivity=_SENSITIVITY
    )
    for gone in (10, 20)
}


def main() -> int:
    """Make the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = options_of(parser, NAME, list(RECIPES))
    assets = Path(os.environ.get("EDGESDK_ASSETS") or ROOT.parent / "shared" / "assets")
    if not (assets / "SHA256SUMS").is_file():
        raise SystemExit(f"no real weights in {assets}: name their folder in EDGESDK_ASSETS")
    found = run({name: _model(name, assets, options.work) for name in MODELS}, options)
    table = document(f"python {SCRIPT}", found, lambda _: [])
    return finish(NAME, SCRIPT, table)


def _model(name: str, assets: Path, work: Path) -> Model:
    card = next(case for case in cases() if case.name == name).card(Places(assets, work))
    others = sorted(write_calibration(assets, work / "others").iterdir())[::_EVERY]
    data = {
        "choose": labelled_by(card, (Picture(read(path), path.name) for path in others), work / name / "choose"),
        "evaluate": assets / "detection_coco",
    }
    if resolve_source(card).card.task == "classify":
        data["evaluate"] = labelled_by(card, judged_pictures(assets, crops=True), work / name / "evaluate")
    return Model(Rows(card, data, tuple(FAMILIES), work / name / "rows", pruned), RECIPES, {})


if __name__ == "__main__":
    sys.exit(main())
