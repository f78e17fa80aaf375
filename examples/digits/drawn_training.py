"""How all sample models are trained: by `edgesdk.train`, on pictures that are drawn while they learn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import nn

from edgesdk.train.batch import Batch
from edgesdk.train.examples import Examples
from edgesdk.train.fit import Fitted, fit
from edgesdk.train.losses import loss_for
from edgesdk.train.moment import Loss
from edgesdk.train.plan import Plan
from edgesdk_targets.card import CardFile

_EPOCHS = 10
# To choose the best epoch by: by the loss, as so few pictures are nearly all answered rightly in the end.
_JUDGED_BATCHES = 8

# Draws so many pictures, with what is true of them.
Draw = Callable[[int], Batch]


class Drawn:
    """Pictures that a program draws, each time new ones; an `ExampleSet`.

    Args:
        draw: draws so many.
        count: of an epoch.
    """

    def __init__(self, draw: Draw, count: int) -> None:
        self._draw, self._count = draw, count

    def __len__(self) -> int:
        return self._count

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Draw a batch for each list of numbers; only how many there are counts."""
        for numbers in wanted:
            yield self._draw(len(numbers))


class DrawnOnce(Drawn):
    """Pictures that are drawn when they are first asked for, and kept: to judge by, the same after every epoch."""

    def __init__(self, draw: Draw, count: int) -> None:
        super().__init__(draw, count)
        self._kept: dict[tuple[int, ...], Batch] = {}

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Return the batch of each list of numbers."""
        for numbers in map(tuple, wanted):
            if numbers not in self._kept:
                self._kept[numbers] = self._draw(len(numbers))
            yield self._kept[numbers]


def check_steps(steps: int) -> None:
    """Refuse what is no multiple of ten.

    Raises:
        ValueError: it is none.
    """
    if steps < 1 or steps % _EPOCHS:
        raise ValueError(f"{steps} steps cannot be shared out over {_EPOCHS} epochs: take a multiple of {_EPOCHS}")


def fit_drawn(
    model: nn.Module,
    card: CardFile,
    draw: Draw,
    *,
    steps: int,
    batch: int,
    peak_rate: float,
    seed: int,
    loss: Loss | None = None,
) -> Fitted:
    """Train a model in place by one cycle of the learning rate; it ends with the best epoch's weights, in evaluation mode.

    Nothing is kept to go on from, as no picture is drawn twice: begun again with the same seeds, it comes to the same weights.

    Args:
        draw: draws so many pictures, prepared as the card says, with what is true of them.
        steps: of the optimiser, a multiple of ten.
        batch: pictures a step.
        peak_rate: highest learning rate.
        loss: the usual one of the card's task unless given.

    Raises:
        ValueError: the steps are no multiple of ten.
    """
    check_steps(steps)
    plan = Plan(
        epochs=_EPOCHS,
        batch=batch,
        learning_rate=peak_rate,
        weight_decay=0.02,
        schedule="one_cycle",
        warmup=0.15,
        seed=seed,
        device="cpu",
    )
    assert card.card.preprocess is not None  # noqa: S101  (all of them take pictures)
    examples = Examples(
        card.card.task,
        card.labels,
        Drawn(draw, steps // _EPOCHS * batch),
        DrawnOnce(draw, _JUDGED_BATCHES * batch),
        card.card.preprocess,
        card.card.input,
    )
    with tempfile.TemporaryDirectory(prefix="digits-training-") as folder:
        return fit(
            model,
            loss or loss_for(card),
            examples,
            plan,
            folder=folder,
            progress=lambda line: print(f"{card.card.name}: {line}", flush=True),
            resume=False,
        )
