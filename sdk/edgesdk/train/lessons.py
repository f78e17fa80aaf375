"""What Lightning is told of a training: a step, a validation, the optimiser, and what is kept after each epoch.

Lightning runs the loops, on a processor or a GPU. Checkpoints are not Lightning's: its own hold the state of its loops, and one
that was written at an epoch's end counts that epoch again when it is resumed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric

from edgesdk.train.asking import ask, ask_all
from edgesdk.train.batch import Batch
from edgesdk.train.checkpoint import BEST, Checkpoint, write_checkpoint, write_weights
from edgesdk.train.moment import EpochRecord, Moment
from edgesdk.train.optimise import optimiser_of, rates_of
from edgesdk.train.progress import Ranking, end_of, line_of
from edgesdk.train.trouble import gradient_not_finite, loss_not_finite
from edgesdk.train.work import Work

if TYPE_CHECKING:
    from torch.optim import Optimizer


class Lessons(LightningModule):
    """One training.

    Args:
        steps: of an epoch.
        before: what to go on from; None begins anew.
    """

    def __init__(self, work: Work, *, steps: int, before: Checkpoint | None) -> None:
        super().__init__()
        self.model = work.model
        # Kept where PyTorch does not look: a loss or a teacher that is a module itself is not trained.
        self._work, self._steps, self._before = work, steps, before
        self._ranking = Ranking(higher_is_better=work.measure is not None and work.measure.higher_is_better)
        self._means = {name: MeanMetric() for name in ("loss", "validation_loss", "figure", *work.terms)}
        self._began = self._epoch_began = time.monotonic()
        self._earlier_s = before.seconds if before is not None else 0.0
        self.history: list[EpochRecord] = list(before.history) if before is not None else []
        self._step = before.step if before is not None else 0
        self._best = before.best if before is not None else -1
        self.kept = before
        self.ended = ""
        # Of this epoch's validation, where its figure is no mean.
        self._asked: list[Any] = []

    @property
    def epoch(self) -> int:
        """The epoch that runs or comes next, from 0, over all runs."""
        return len(self.history)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the schedule, as they were left."""
        optimiser = optimiser_of(self.model, self._work.plan)
        rates = rates_of(optimiser, self._work.plan, self._work.plan.epochs * self._steps)
        if self._before is not None:
            optimiser.load_state_dict(self._before.optimiser)
            rates.load_state_dict(self._before.rates)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Move a batch to where the model is."""
        return batch.to(device)

    def on_train_start(self) -> None:
        """Take the random numbers up where they were left; everything else that draws any has done so."""
        for mean in self._means.values():
            mean.to(self.device)
        if self._before is not None:
            torch.set_rng_state(self._before.random["cpu"])
            if self.device.type == "cuda" and "cuda" in self._before.random:
                torch.cuda.set_rng_state(self._before.random["cuda"], self.device)

    def on_train_epoch_start(self) -> None:
        """Begin an epoch."""
        self._epoch_began = time.monotonic()
        self._asked.clear()
        for mean in self._means.values():
            mean.reset()
        for hook in self._work.hooks:
            hook.before_epoch(self.model, self.epoch)

    def training_step(self, batch: Batch, _number: int) -> Tensor:
        """Return what is made smaller.

        Raises:
            LossNotFinite: it is no finite number.
            InputError: the loss or a term fails.
        """
        moment = Moment(self.model, batch, self.epoch, self._step)
        total, terms = ask_all(self._work.loss, self._work.terms, moment)
        if not bool(total.isfinite()):
            raise loss_not_finite(self.model, batch, float(total.detach()), self.epoch, self._step)
        for name, value in {"loss": total, **terms}.items():
            self._means[name].update(value.detach(), len(batch))
        return total

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:  # noqa: ARG002
        """Refuse a step that would make weights not finite.

        Raises:
            LossNotFinite: a gradient is not finite.
        """
        error = gradient_not_finite(self.model, self.epoch, self._step)
        if error is not None:
            raise error

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Let the hooks do what follows a step."""
        for hook in self._work.hooks:
            hook.after_step(self.model, self._step)
        self._step += 1

    def validation_step(self, batch: Batch, _number: int) -> None:
        """Judge a batch."""
        moment = Moment(self.model, batch, self.epoch, self._step)
        loss = ask("The loss", self._work.loss, moment)
        if not bool(loss.isfinite()):
            raise loss_not_finite(self.model, batch, float(loss.detach()), self.epoch, self._step)
        self._means["validation_loss"].update(loss, len(batch))
        measure = self._work.measure
        if measure is None:
            self._means["figure"].update(loss, len(batch))
            return
        each = ask(f"The measure {measure.name}", measure.each, moment)
        if measure.of_all is not None:
            self._asked.append(each)
        else:
            self._means["figure"].update(each.mean(), len(batch))

    def on_train_epoch_end(self) -> None:
        """Keep the epoch, tell it, and see whether it was the last."""
        measure = self._work.measure
        together = measure.of_all if measure is not None else None
        mean = {
            name: float(metric.compute()) for name, metric in self._means.items() if name != "figure" or not together
        }
        record = EpochRecord(
            epoch=self.epoch,
            loss=mean["loss"],
            terms={name: mean[name] for name in self._work.terms},
            validation_loss=mean["validation_loss"],
            figure=together(self._asked) if together else mean["figure"],
            learning_rate=self._rate(),
            seconds=time.monotonic() - self._epoch_began,
        )
        self.history.append(record)
        if self._best < 0 or self._ranking.better(record, self.history[self._best]):
            self._best = record.epoch
            write_weights(self._work.folder / BEST, self.model)
        self.kept = self._reached()
        write_checkpoint(self._work.folder, self.kept)
        self._work.say(line_of(self.history, self._best, self._work.plan.epochs, self._work.measure))
        for hook in self._work.hooks:
            hook.after_epoch(self.model, record)
        self.ended = end_of(self._work.plan, self.history, self._best, self._seconds())
        self.trainer.should_stop = bool(self.ended)

    def _rate(self) -> float:
        (optimiser,) = self.trainer.optimizers
        return float(optimiser.param_groups[0]["lr"])

    def _seconds(self) -> float:
        return self._earlier_s + time.monotonic() - self._began

    def _reached(self) -> Checkpoint:
        (optimiser,) = self.trainer.optimizers
        (rates,) = (config.scheduler for config in self.trainer.lr_scheduler_configs)
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return Checkpoint(
            identity=self._work.identity,
            step=self._step,
            history=tuple(self.history),
            best=self._best,
            seconds=self._seconds(),
            model=self.model.state_dict(),
            optimiser=optimiser.state_dict(),
            rates=rates.state_dict(),
            random=random,
        )
