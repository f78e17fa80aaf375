"""How a training is done, as data: what a recipe, a search or a YAML file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesdk_targets.yaml_file import YamlDocument, load_yaml, validate

Device = Literal["auto", "cpu", "cuda"]
Optimiser = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "constant", "one_cycle"]


class Augment(BaseModel):
    """How training pictures are varied, each anew every time it is seen; nothing unless it is declared.

    Attributes:
        shift: at most so far, as a share of the picture's sides.
        rotate: at most so many degrees.
        scale: at most so much larger or smaller, as a share.
        flip: every other picture is mirrored left to right; only where a mirrored picture means the same.
        brightness, contrast: at most so much, as a share of the range from black to white.
        noise: standard deviation of Gaussian noise, as a share of that range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: float = Field(default=0.0, ge=0.0, le=0.5)
    rotate: float = Field(default=0.0, ge=0.0, le=180.0)
    scale: float = Field(default=0.0, ge=0.0, le=0.5)
    flip: bool = False
    brightness: float = Field(default=0.0, ge=0.0, le=1.0)
    contrast: float = Field(default=0.0, ge=0.0, le=1.0)
    noise: float = Field(default=0.0, ge=0.0, le=0.5)

    @property
    def moves(self) -> bool:
        """Whether what is in a picture comes to another place."""
        return bool(self.shift or self.rotate or self.scale or self.flip)


class Plan(BaseModel):
    """How long, how fast and on what a model is trained.

    Attributes:
        epochs: passes over the training pictures, at most.
        batch: pictures a step, at most; the batches of an epoch are of nearly equal size.
        learning_rate: the highest.
        weight_decay: of matrices and kernels; biases and the factors of norms are left alone.
        momentum: of `sgd`.
        schedule: of the learning rate over all steps: `cosine` falls to 0, `one_cycle` rises from 1/25 and falls to nearly 0.
        warmup: share of all steps in which it rises to `learning_rate`.
        clip: largest norm of all gradients together; None for any.
        patience: stop after so many epochs without a better figure on the validation pictures; None for never.
        minutes: begin no further epoch after so long, earlier runs counted in; None for no limit.
        seed: decides the order of pictures, how they are varied, what dropout leaves out, and the split of a set that has none.
        device: `auto` takes a GPU where CUDA finds one.
        threads: of the processor; None for PyTorch's own choice. Another number may round otherwise.
        workers: threads that read pictures; None for one a core.
        cache_mb: prepared pictures kept in memory; a set that is larger is streamed.
        cache_disk_mb: of a streamed set, kept in a file without a name beside the checkpoints; never more than is left free there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1, le=100_000)
    batch: int = Field(default=64, ge=1, le=65_536)
    learning_rate: float = Field(default=1e-3, gt=0.0, le=100.0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.01, ge=0.0, le=10.0, allow_inf_nan=False)
    optimiser: Optimiser = "adamw"
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    schedule: Schedule = "cosine"
    warmup: float = Field(default=0.05, ge=0.0, le=0.9)
    clip: float | None = Field(default=5.0, gt=0.0, allow_inf_nan=False)
    patience: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    device: Device = "auto"
    threads: int | None = Field(default=None, ge=1, le=1024)
    workers: int | None = Field(default=None, ge=1, le=1024)
    cache_mb: int = Field(default=512, ge=1)
    cache_disk_mb: int = Field(default=16_384, ge=0)
    augment: Augment = Field(default_factory=Augment)


def read_plan(path: str | Path) -> Plan:
    """Read a plan from a YAML file.

    Raises:
        InputError: it cannot be read, or a field is unknown or wrong; the message names line and field.
    """
    return validate(Plan, load_yaml(path))


def plan_of(values: Mapping[str, Any], source: str = "plan") -> Plan:
    """Return the plan of plain values, as a recipe or a search holds them.

    Args:
        source: where they stand, for messages.

    Raises:
        InputError: a field is unknown or wrong; the message names it.
    """
    return validate(Plan, YamlDocument(dict(values), {}, source))
