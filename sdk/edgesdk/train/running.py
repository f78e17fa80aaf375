"""Lightning's trainer, kept from what is not its business: the terminal, the process's signals, settings and random numbers."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Trainer
from torch.utils import deterministic as memory

from edgesdk.train.augment import Variation
from edgesdk.train.checkpoint import Checkpoint
from edgesdk.train.epochs import EpochBatches, InOrder
from edgesdk.train.examples import Examples
from edgesdk.train.lessons import Lessons
from edgesdk.train.plan import Device, Plan
from edgesdk.train.progress import TrainingStopped
from edgesdk.train.work import Work
from edgesdk_targets.errors import InputError

_LOGGERS = (
    "lightning.pytorch",
    "lightning.fabric",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
)


class _Stopped(BaseException):
    """Ctrl-C, under a name that Lightning does not know."""


def usable_device(wanted: Device) -> Literal["cpu", "cuda"]:
    """Return where to train.

    Raises:
        InputError: a GPU is asked for, and CUDA finds none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise InputError("CUDA finds no GPU here.", hint="Take device: cpu, or a build of PyTorch for CUDA.")
    return "cuda" if there and wanted != "cpu" else "cpu"


def run(
    work: Work, examples: Examples, variation: Variation, before: Checkpoint | None, device: Literal["cpu", "cuda"]
) -> tuple[Checkpoint, str]:
    """Train until the end; return what was reached, and why it ended.

    Raises:
        LossNotFinite: as `fit`.
        TrainingStopped: Ctrl-C.
    """
    plan = work.plan
    done = len(before.history) if before is not None else 0
    batches = EpochBatches(
        examples.train,
        plan.batch,
        seed=plan.seed,
        variation=variation if variation.does_something else None,
        epoch=lambda: lessons.epoch,
    )
    lessons = Lessons(work, steps=len(batches), before=before)
    trainer = Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=plan.epochs - done,
        gradient_clip_val=plan.clip,
        num_sanity_val_steps=0,
        # Under inference mode a module could keep tensors of a validation that no later step may use.
        inference_mode=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=work.folder,
        plugins=[LightningEnvironment()],
    )
    torch.manual_seed(plan.seed)
    work.model.train()
    try:
        with _ctrl_c_kept_from_lightning():
            trainer.fit(lessons, batches, InOrder(examples.validation, plan.batch))
    except KeyboardInterrupt:
        kept = lessons.epoch
        work.say(
            f"stopped in epoch {kept + 1}; {kept} are kept in {work.folder}: a call that resumes goes on from there"
            if kept
            else "stopped before the first epoch was done"
        )
        raise TrainingStopped(kept) from None
    assert lessons.kept is not None  # noqa: S101  (an epoch is done, or there is an error)
    return lessons.kept, lessons.ended


@contextmanager
def isolated(plan: Plan) -> Iterator[None]:
    """Train repeatably, and leave PyTorch's settings and random numbers as they were found."""
    threads = torch.get_num_threads()
    strict, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Advice on loaders' workers, and that parts of a model are in evaluation mode, which may be meant. LeafSpec is PyTorch's.
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        if plan.threads is not None:
            torch.set_num_threads(plan.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing reads memory that it did not write; filling it would only take time.
        filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            memory.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
            torch.use_deterministic_algorithms(strict, warn_only=only_warns)
            torch.set_num_threads(threads)
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


@contextmanager
def _ctrl_c_kept_from_lightning() -> Iterator[None]:
    """Let Ctrl-C end a training alone: Lightning would leave the whole program, and turn Ctrl-C off for good."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise _Stopped

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    except _Stopped:
        signal.signal(signal.SIGINT, before)
        # Whoever took Ctrl-C before hears of it; by Python's own rule that is a KeyboardInterrupt.
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
