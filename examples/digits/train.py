"""Train the sample models on scikit-learn's digits and write their weights; one command, one core, fixed seeds.

python train.py [--only detector] [--out weights]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import train_classifier
import train_detector
import train_motion
import train_readers
from make_data import Digits, train_split
from safetensors.torch import save
from torch import nn

from edgesdk_agent.cameras.conveyor import load_digits

SEED = 7


def score_detector(model: Any, digits: Digits) -> str:
    """Say how well the detector finds the digits of rendered conveyors."""
    counts = train_detector.evaluate(model, digits)
    return f"precision {counts.precision:.4f}, recall {counts.recall:.4f} ({counts.hits + counts.missed} digits)"


def score_classifier(model: Any, digits: Digits) -> str:
    """Say how often the classifier is right."""
    return f"top-1 {train_classifier.evaluate(model, digits):.4f}"


def score_row_reader(model: Any, digits: Digits) -> str:
    """Say how many rows are read without error."""
    return f"word accuracy {train_readers.evaluate(model, digits):.4f}"


def score_row_reader_stream(model: Any, digits: Digits) -> str:
    """Say how many rows are read without error, strip by strip."""
    return f"word accuracy {train_readers.evaluate_stream(model, digits):.4f}"


def score_motion(model: Any, digits: Digits) -> str:
    """Say how often the direction of a belt is told right."""
    return f"top-1 {train_motion.evaluate(model, digits):.4f}"


Train = Callable[[Digits, int], nn.Module]
Score = Callable[[Any, Digits], str]
MODELS: dict[str, tuple[Train, Score]] = {
    "detector": (train_detector.train, score_detector),
    "classifier": (train_classifier.train, score_classifier),
    "row_reader": (train_readers.train, score_row_reader),
    "row_reader_stream": (train_readers.train_stream, score_row_reader_stream),
    "motion": (train_motion.train, score_motion),
}


def main() -> None:
    """Train what was asked for, print the accuracy on the test split, and save the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MODELS, help="train this model alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights", help="folder for the weights")
    options = parser.parse_args()
    # One thread and deterministic kernels: the same weights from the same command on the same machine.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    options.out.mkdir(parents=True, exist_ok=True)
    digits, test = train_split(), Digits(*load_digits())
    for name in [options.only] if options.only else MODELS:
        train, score = MODELS[name]
        start = time.monotonic()
        torch.manual_seed(SEED)
        model = train(digits, SEED)
        file = options.out / f"{name}.safetensors"
        file.write_bytes(save(model.state_dict()))
        seconds = time.monotonic() - start
        print(f"{name}: test split: {score(model, test)}; {file.stat().st_size} bytes, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
