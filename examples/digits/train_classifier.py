"""Train and score the classifier on rendered single digits."""

from __future__ import annotations

import torch
from digits_inputs import Inputs
from digits_models import Classifier
from make_data import Digits
from render_pictures import Renderer
from torch import Tensor
from torch.nn import functional
from train_loop import fit

STEPS, BATCH, PEAK_RATE = 1500, 96, 4e-3


def train(digits: Digits, seed: int) -> Classifier:
    """Train the classifier on pictures rendered from `digits`."""
    model, source, inputs = Classifier(), Renderer(digits, seed), Inputs("classifier")

    def step(_: int) -> Tensor:
        images, labels = _batch(source, inputs, BATCH)
        return functional.cross_entropy(model(images), labels, label_smoothing=0.05)

    fit(model, step, steps=STEPS, peak_rate=PEAK_RATE, name="classifier")
    return model


def evaluate(model: Classifier, digits: Digits, *, seed: int = 100, pictures: int = 4000) -> float:
    """Return the top-1 accuracy on pictures rendered from `digits`."""
    images, labels = _batch(Renderer(digits, seed), Inputs("classifier"), pictures)
    with torch.inference_mode():
        return float((model(images).argmax(1) == labels).float().mean())


def _batch(source: Renderer, inputs: Inputs, count: int) -> tuple[Tensor, Tensor]:
    images, labels = zip(*(source.crop() for _ in range(count)), strict=True)
    return inputs.batch(list(images)), torch.tensor(labels)
