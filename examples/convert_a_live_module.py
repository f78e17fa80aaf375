"""Convert a torch model that lives in this process, without writing its weights or a card to disk.

    python convert_a_live_module.py [--target generic-onnx] [--output out]

Use this at the end of a training script. The card is given as values; what it says is what `docs/cards.md` explains.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

import edgesdk


def trained_model() -> torch.nn.Module:
    """Stand in for your training: a small classifier with fixed weights."""
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    ).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", help="several times for several devices")
    parser.add_argument("--output", default="out")
    options = parser.parse_args()
    card = {
        "name": "live-classifier",
        "version": "1.0.0",
        "task": "classify",
        "input": {"name": "image", "shape": [1, 3, 64, 64], "dtype": "float32", "layout": "NCHW"},
        "preprocess": "imagenet",
        "labels": ["apple", "pear", "plum"],
    }
    conversion = edgesdk.convert(
        trained_model(), options.target or ["generic-onnx"], output=options.output, card=card, progress=print
    )
    for variant in conversion.variants:
        worst = variant.parity.get("worst", {})
        print(f"{variant.id}: {worst.get('sqnr_db', 'not compared')} dB, {variant.status}")
    with edgesdk.load(conversion.path) as model:
        picture = np.full((48, 64, 3), 128, np.uint8)
        print(f"{conversion.path} says of a gray picture: {model(picture).to_json()}")


if __name__ == "__main__":
    try:
        main()
    except edgesdk.EdgeError as error:
        sys.exit(f"error: {error}")
