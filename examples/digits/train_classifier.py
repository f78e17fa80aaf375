"""Train and score the classifier on rendered single digits."""

from __future__ import annotations

import torch
from digits_inputs import Inputs, card_file
from digits_models import Classifier
from drawn_training import fit_drawn
from make_data import Digits
from render_pictures import Renderer

from edgesdk.train.batch import Batch
from edgesdk.train.losses import loss_for

STEPS, BATCH, PEAK_RATE = 1500, 96, 4e-3


def train(digits: Digits, seed: int) -> Classifier:
    """Train the classifier on pictures rendered from `digits`."""
    model, source, inputs = Classifier(), Renderer(digits, seed), Inputs("classifier")

    fit_drawn(
        model,
        card := card_file("classifier"),
        lambda count: drawn_crops(source, inputs, count),
        steps=STEPS,
        batch=BATCH,
        peak_rate=PEAK_RATE,
        seed=seed,
        loss=loss_for(card, label_smoothing=0.05),
    )
    return model


def evaluate(model: Classifier, digits: Digits, *, seed: int = 100, pictures: int = 4000) -> float:
    """Return the top-1 accuracy on pictures rendered from `digits`."""
    drawn = drawn_crops(Renderer(digits, seed), Inputs("classifier"), pictures)
    with torch.inference_mode():
        return float((model(drawn.images).argmax(1) == drawn.targets).float().mean())


def drawn_crops(source: Renderer, inputs: Inputs, count: int) -> Batch:
    """Draw so many pictures of one digit each, with their classes."""
    images, labels = zip(*(source.crop() for _ in range(count)), strict=True)
    return Batch(inputs.batch(list(images)), torch.tensor(labels))
