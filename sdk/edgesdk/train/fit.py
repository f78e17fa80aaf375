"""Train a model: `fit`, the one entry, and what it comes to.

    examples = open_examples(card, "data/")
    fitted = fit(model, loss_for(card), examples, Plan(epochs=20), measure=measure_for(card), folder="training/")

On one machine the same model, plan and data give the same weights, bit for bit, on a processor; also where the training was
killed in between, as it goes on from the last epoch that was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.train.augment import Variation
from edgesdk.train.checkpoint import BEST, Checkpoint, load_weights, read_checkpoint
from edgesdk.train.examples import Examples
from edgesdk.train.identity import differing, identity_of
from edgesdk.train.measure import Measure
from edgesdk.train.moment import EpochRecord, Hook, Loss, Term
from edgesdk.train.plan import Plan
from edgesdk.train.progress import end_of
from edgesdk.train.rehearsal import rehearse
from edgesdk.train.work import Work
from edgesdk_converters.framework_edge import needs
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished training.

    Attributes:
        weights: the best epoch's, as safetensors; the model has them, too.
        metric: what the best epoch is chosen by, on the validation pictures.
        higher_is_better: which way.
        best: the metric in the best epoch.
        best_epoch: from 0.
        steps: of the optimiser.
        seconds: that it took, over all runs.
        history: every epoch.
        earlier: how many of them earlier runs had done; all of them where nothing was left to train.
        ended: why no further epoch was trained.
        device: where it ran: cpu or cuda.
    """

    weights: Path
    metric: str
    higher_is_better: bool
    best: float
    best_epoch: int
    steps: int
    seconds: float
    history: tuple[EpochRecord, ...]
    earlier: int
    ended: str
    device: str

    @property
    def epochs(self) -> int:
        """How many were trained."""
        return len(self.history)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__ if name not in {"weights", "history"}},
            "weights": str(self.weights),
            "epochs": self.epochs,
            "history": [asdict(record) for record in self.history],
        }


def fit(
    model: nn.Module,
    loss: Loss,
    examples: Examples,
    plan: Plan,
    *,
    folder: str | Path,
    measure: Measure | None = None,
    terms: Mapping[str, Term] | None = None,
    hooks: Sequence[Hook] = (),
    progress: Progress | None = None,
    resume: bool = True,
) -> Fitted:
    """Train a model in place; it ends with the best epoch's weights, on the processor, in evaluation mode.

    Args:
        model: with the weights to begin with. Weights that need no gradient are left as they are.
        loss: what is made small, see `edgesdk.train.losses`.
        folder: for checkpoints and the best weights; made where it is absent.
        measure: what the best epoch is chosen by; None for the validation loss.
        terms: further losses by name, added to the main one (a distillation's).
        hooks: take part in each step and epoch.
        progress: told a line after each epoch.
        resume: go on from the folder's checkpoint if it has one, or return what is finished there, with the same start weights,
            plan, loss and pictures only; else begin anew over it.

    Raises:
        InputError: model, data and plan do not fit each other, told before anything is trained; or the folder holds another
            training's checkpoint.
        LossNotFinite: the loss became NaN or infinite; it says at which step, and which layer as far as that can be told.
        NoSpace: a checkpoint cannot be written.
        MissingExtra: torch or lightning is not installed.
        TrainingStopped: Ctrl-C (a KeyboardInterrupt); the last epoch that was done is kept, and a call that resumes goes on from
            there.
    """
    with needs("torch", extra="compress"):
        import torch  # noqa: F401
    with needs("lightning", extra="compress"):
        from edgesdk.train.running import isolated, run, usable_device
    folder, say = Path(folder), progress or _silent
    device = usable_device(plan.device)
    variation = Variation(plan.augment, examples.preprocess, examples.tensor)
    identity = identity_of(model, loss, measure, terms or {}, examples, plan)
    before = _checkpoint(folder, identity) if resume else None
    with isolated(plan):
        rehearse(model, loss, measure, terms or {}, examples, plan.batch)
        if before is not None:
            model.load_state_dict(before.model)
        reached = before
        ended = end_of(plan, before.history, before.best, before.seconds) if before is not None else ""
        if before is not None:
            say(f"was finished: {ended}" if ended else f"goes on after epoch {len(before.history)} of {plan.epochs}")
        if not ended:
            work = Work(model, loss, plan, measure, dict(terms or {}), tuple(hooks), folder, identity, say)
            reached, ended = run(work, examples, variation, before, device)
        assert reached is not None  # noqa: S101  (what was not there before was run)
        load_weights(folder / BEST, model)
    model.eval()
    return Fitted(
        weights=folder / BEST,
        metric=measure.name if measure is not None else "validation_loss",
        higher_is_better=measure is not None and measure.higher_is_better,
        best=reached.history[reached.best].figure,
        best_epoch=reached.best,
        steps=reached.step,
        seconds=reached.seconds,
        history=reached.history,
        earlier=len(before.history) if before is not None else 0,
        ended=ended,
        device=device,
    )


def _checkpoint(folder: Path, identity: dict[str, str]) -> Checkpoint | None:
    """Return the folder's checkpoint.

    Raises:
        InputError: it is of another training, or damaged.
    """
    found = read_checkpoint(folder)
    if found is not None and found.identity != identity:
        raise InputError(
            f"{folder} holds the checkpoint of another training, with other {', '.join(differing(identity, found.identity))}.",
            hint="Give another folder, or begin anew over it: --anew, in a program resume=False.",
        )
    return found


def _silent(_line: str) -> None: ...
