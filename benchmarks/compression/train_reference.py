"""Train the references of the compression tables, and say how good and how fast they are before anything is made smaller.

    python benchmarks/compression/train_reference.py [--only resnet20] [--measure-only] [--work FOLDER]

ResNet-20 learns scikit-learn's digits at 32x32; the reader of rows (convolutions and a recurrent layer, CTC) is that of
`examples/digits`, whose weights are kept there. Accuracy is that of the test split, which nothing was learnt or chosen by;
latency that of one inference on one thread, in float32, by OpenVINO and by LiteRT (`edgesdk benchmark --threads 1`), in
milliseconds; it wants a quiet machine. Writes `benchmarks/results/compression_reference.json`, each reference in place of what was
found of it before, with the machine and its load. Killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from asked import asked  # noqa: E402
from digit_pictures import write_digits  # noqa: E402
from row_pictures import rows_to_read  # noqa: E402

from edgesdk.train.examples import open_examples  # noqa: E402
from edgesdk.train.fit import Fitted, fit  # noqa: E402
from edgesdk.train.losses import loss_for  # noqa: E402
from edgesdk.train.measure import measure_for  # noqa: E402
from edgesdk.train.model import open_model  # noqa: E402
from edgesdk.train.plan import read_plan  # noqa: E402
from edgesdk_targets.card import read_card  # noqa: E402
from edgesdk_targets.whole_file import write_whole  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "compression_reference.json"
RESNET, READER = HERE / "resnet20.yaml", ROOT / "examples" / "digits" / "row_reader.yaml"


def train_resnet(work: Path) -> Fitted:
    """Train ResNet-20 on the training split, and put its weights beside its card."""
    card, plan = read_card(RESNET), read_plan(HERE / "resnet20_plan.yaml")
    examples = open_examples(card, work / "digits" / "train", validation=0.1, seed=plan.seed)
    model = open_model(card, untrained=True, seed=plan.seed)
    fitted = fit(
        model,
        loss_for(card, label_smoothing=0.05),
        examples,
        plan,
        folder=work / "resnet20",
        measure=measure_for(card),
        progress=lambda line: print(f"resnet20: {line}", flush=True),
    )
    write_whole(HERE / str(card.card.source), fitted.weights.read_bytes())
    return fitted


def stated(card: Path, data: Path, work: Path) -> dict[str, Any]:
    """Return a reference's figures: accuracy on test data, size, and latency on one thread."""
    bundle = work / f"{card.stem}.edgebundle"
    asked("convert", card, "--target", "x86-cpu", "--target", "rpi5", "--precision", "fp32", "-o", bundle)
    timed = asked("benchmark", bundle, "--threads", "1")
    return {
        "model": read_card(card).card.name,
        "test": asked("evaluate", card, "--data", data)["metrics"],
        "latency_ms": {row["runtime"]: row["latency_ms"] for row in timed["variants"] if "latency_ms" in row},
        "host": timed["host"],
    }


def told(fitted: Fitted) -> dict[str, Any]:
    """Return what a training came to."""
    return {
        "epochs": fitted.epochs,
        "seconds": round(fitted.seconds),
        "validation": {fitted.metric: fitted.best},
    }


def record(name: str, figures: dict[str, Any]) -> None:
    """Put a reference's figures into the results, in place of what was found of it before."""
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    write_whole(RESULTS, (json.dumps({**known, name: figures}, indent=2) + "\n").encode())


def main() -> None:
    """Train and measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("resnet20", "row_reader"))
    parser.add_argument(
        "--measure-only", action="store_true", help="train nothing: measure the weights beside the card"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / ".cache" / "compression_reference", help="pictures, checkpoints"
    )
    options = parser.parse_args()
    if options.only != "row_reader":
        write_digits(options.work / "digits")
        training = {} if options.measure_only else told(train_resnet(options.work))
        record("resnet20", {**stated(RESNET, options.work / "digits" / "test", options.work), **training})
    if options.only != "resnet20":
        record("row_reader", stated(READER, rows_to_read(options.work / "rows"), options.work))
    print(RESULTS)


if __name__ == "__main__":
    main()
