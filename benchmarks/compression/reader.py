"""Make the table of factorisation and sharing: the reader of rows (convolutions and a recurrent layer) in fewer bytes.

    python benchmarks/compression/reader.py [--phase make time] [--only ROW …] [--work FOLDER]

The reader is that of `examples/digits`, with its weights. Every row is one `edgesdk compress`, converted in float32 for all four
families, and judged by the words that it reads of 1,000 rows from the test split. It learns on rows rendered from the training
split: *factorise*, which makes thin layers of two convolutions, of the linear layer between and of what the recurrent layer reads,
is followed by *distil* with the reader as it was for a teacher. The first convolution and the last layer stay whole: they are 2 %
of the numbers, and with three directions left for eleven answers nothing that follows can be told apart. What the recurrent layer
hands on from step to step stays too, as no runtime has that in two. *cluster* leaves 32 numbers in each weight: its files are as
large as before, and deflated, as a bundle stores them, smaller. *by layer* is the row of the same passes with what each layer bears
measured first; in all others all layers are treated alike. Layers that could be tied (of one shape) this model has none.

Wanted are 3 times fewer bytes on each family at one point of word accuracy: of the thinnest layers, by layer and after the longest
distillation, as they are; of the clusters deflated. A run in which one of it is not met or not measured ends with 1. Writes
`benchmarks/results/compression_reader.json` and `docs/compressing.md`. What is finished is kept; *time* wants a quiet machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from goals import of_the_reader  # noqa: E402
from phases import ROOT, Model, document, options_of, run  # noqa: E402
from row_pictures import rows_to_learn, rows_to_read  # noqa: E402
from rows import Recipe, Rows  # noqa: E402
from table.cases import FAMILIES  # noqa: E402
from tables import finish  # noqa: E402

NAME, SCRIPT = "compression_reader", "benchmarks/compression/reader.py"
CARD = ROOT / "examples" / "digits" / "row_reader.yaml"
THIN, CLUSTERED = "factorise to 60 %", "factorise to 60 % + cluster"
THINNEST, FACTORISED = "factorise to 31 %", "factorise to 31 %, by layer, learnt longer"
_LEARNT = 8000
_LAYERS = ["body.1.*", "body.3.*", "column", "memory"]
_PLAN = {"epochs": 10, "batch": 48, "learning_rate": 0.002, "threads": 1}
_SHORT = {**_PLAN, "epochs": 3, "learning_rate": 0.0005}
_LONGER = {**_PLAN, "epochs": 30, "learning_rate": 0.006, "schedule": "one_cycle", "warmup": 0.15}
_THINNEST, _THIN = ({"pass": "factorise", "parameters": part, "layers": _LAYERS} for part in (0.31, 0.6))
_DISTIL, _DISTIL_LONGER = ({"pass": "distil", "temperature": 2, "training": plan} for plan in (_PLAN, _LONGER))
_CLUSTERS = {"pass": "cluster", "count": 32, "recover": _SHORT}
_BY_LAYER = {"evaluations": 64, "pictures": 200}
RECIPES = {
    THINNEST: Recipe([_THINNEST, _DISTIL]),
    FACTORISED: Recipe([_THINNEST, _DISTIL_LONGER], sensitivity=_BY_LAYER),
    THIN: Recipe([_THIN, _DISTIL]),
    "cluster": Recipe([_CLUSTERS]),
    "cluster, by layer": Recipe([_CLUSTERS], sensitivity=_BY_LAYER),
    CLUSTERED: Recipe([_THIN, _DISTIL, _CLUSTERS]),
}


def main() -> int:
    """Make the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = options_of(parser, NAME, list(RECIPES))
    data = {
        "train": rows_to_learn(options.work / f"learn-{_LEARNT}", _LEARNT),
        "evaluate": rows_to_read(options.work / "read"),
    }
    model = Model(Rows(CARD, data, tuple(FAMILIES), options.work), RECIPES, {CLUSTERED: [THIN], THIN: [CLUSTERED]})
    found = run({"digits-row-reader": model}, options)
    table = document(
        f"python {SCRIPT}",
        found,
        lambda models: of_the_reader(models["digits-row-reader"]["rows"], FACTORISED, CLUSTERED),
    )
    return finish(NAME, SCRIPT, table)


if __name__ == "__main__":
    sys.exit(main())
