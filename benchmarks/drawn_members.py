"""Classifiers of rendered digits for the benchmarks of several models as one: trained and converted once, and kept.

What is kept is known again by edgesdk's version, the weights that a member began with and its steps. Other code of the training
under the same version is not told: it wants another folder.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from table.other_load import OtherLoad
from table.timing import MOST_OTHERS
from torch import nn

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent / "examples" / "digits"))

from digits_inputs import Inputs, card, card_file  # noqa: E402
from drawn_training import check_steps, fit_drawn  # noqa: E402
from make_data import Digits, load_all, split  # noqa: E402
from render_pictures import Renderer  # noqa: E402
from train_classifier import drawn_crops  # noqa: E402

from edgesdk import __version__  # noqa: E402
from edgesdk.train.checkpoint import weights_bytes  # noqa: E402
from edgesdk.train.losses import loss_for  # noqa: E402
from edgesdk_converters.convert import convert  # noqa: E402

# To choose by, and to judge by: a hand's digit of one is not in the other.
HALVES = ("choose", "judge")
# Channels of the convolutions of the small one.
SMALL = (6, 12)
_BATCH = 96


def options_of(parser: argparse.ArgumentParser, name: str, steps: int) -> None:
    """Add what these benchmarks can be asked for.

    Args:
        steps: of each training, unless others are asked for.
    """
    kept = _HERE.parent / ".cache" / name
    parser.add_argument("--each", type=int, default=5, help="pictures of each digit")
    parser.add_argument("--steps", type=steps_of, default=steps, help="of each training, a multiple of ten")
    parser.add_argument("--work", type=Path, default=kept, help="for the members and pictures, which are kept")


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


def network(first: int, second: int, seed: int) -> nn.Sequential:
    """Return an untrained network of two convolutions."""
    torch.manual_seed(seed)

    def unit(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    tail = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * second, 10)]
    return nn.Sequential(nn.AvgPool2d(2), *unit(1, first), nn.MaxPool2d(2), *unit(first, second), *tail)


def member(name: str, untrained: nn.Module, steps: int, work: Path) -> Path:
    """Return a network's bundle; it learns the training split, unless it did so before.

    Args:
        name: of the model, and of the bundle's file.
    """
    key = hashlib.sha256(f"{__version__} {steps} ".encode() + weights_bytes(untrained)).hexdigest()
    path = work / key[:12] / f"{name}.edgebundle"
    if not path.is_file():
        print(f"{name} is trained", file=sys.stderr)
        _train(untrained, steps)
        fields = {key: value for key, value in card("classifier").items() if key not in {"source", "factory"}}
        fields |= {"name": name, "labels": [str(digit) for digit in range(10)]}
        convert(untrained.eval(), ["x86-cpu"], output=path, card=fields)
    return path


def _train(model: nn.Module, steps: int) -> None:
    source, inputs, file = Renderer(split(load_all())[0], 1), Inputs("classifier"), card_file("classifier")
    with contextlib.redirect_stdout(sys.stderr):
        fit_drawn(
            model,
            file,
            lambda count: drawn_crops(source, inputs, count),
            steps=steps,
            batch=_BATCH,
            peak_rate=4e-3,
            seed=1,
            loss=loss_for(file, label_smoothing=0.02),
        )


class Watch:
    """What others take of the machine from now on; this process's children are none, once they have ended."""

    def __init__(self) -> None:
        self._others, self._begun, self._children = OtherLoad(()), time.perf_counter(), _of_children()

    def percent(self) -> float:
        """Return it in percent of one core."""
        children = 100 * (_of_children() - self._children) / (time.perf_counter() - self._begun)
        return round(max(0.0, self._others.percent() - children), 1)


def _of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def beside(percent: float) -> str:
    """Say of times beside how much other work they were taken."""
    disturbed = ", more than is allowed: the times are too long" if percent > MOST_OTHERS else ""
    return f"While this was timed, on one thread by turns, others took {percent:.0f} % of a core{disturbed}."


def labelled_halves(work: Path, each: int) -> dict[str, Path]:
    """Draw the digits of the test split, one half for each purpose; pictures of one digit are one group."""
    others = split(load_all())[1]
    return {
        half: _written(work / f"{half}-{each}", Digits(others.images[start::2], others.labels[start::2]), each)
        for start, half in enumerate(HALVES)
    }


def _written(folder: Path, digits: Digits, each: int) -> Path:
    """Draw each digit so many times, once, and write a table that says which pictures show the same one."""
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    (partial / "images").mkdir(parents=True, exist_ok=True)
    lines = [("file", "label", "group")]
    for number, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        renderer = Renderer(Digits(image[None], np.array([label])), number)
        for copy in range(each):
            name = f"images/{number:04d}-{copy}.png"
            if not cv2.imwrite(str(partial / name), renderer.crop()[0]):
                raise SystemExit(f"{partial / name} could not be written: is the disk full?")
            lines.append((name, str(label), str(number)))
    with (partial / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    partial.rename(folder)
    return folder
