"""What a pass may ask for while it works; put together by the roof, which knows the data, the gate and the runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from edgesdk.compression.channel_groups import ChannelGroups
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.sensitivity import GroupSensitivity, Score
from edgesdk.compression.subject import Subject
from edgesdk.train.moment import Hook, Term
from edgesdk.train.plan import Plan
from edgesdk_targets.decode.postprocess import Activation


@dataclass(frozen=True, slots=True)
class Answering:
    """A model, and how its answers are to be read.

    Attributes:
        activation: what makes probabilities of its first output; `none` where it gives them itself, None where they are no
            probabilities (boxes, vectors, numbers).
    """

    subject: Subject
    activation: Activation | None


class Train(Protocol):
    """Trains a module in place on the recipe's data."""

    def __call__(
        self,
        module: nn.Module,
        plan: Plan,
        folder: Path,
        *,
        terms: Mapping[str, Term] | None = None,
        hooks: Sequence[Hook] = (),
    ) -> Mapping[str, Any]:
        """Return what the training came to, ready for JSON.

        Args:
            folder: of its checkpoints, from which a training that was killed goes on.
            terms: further losses by name, beside the main one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a pass may ask for.

    Attributes:
        start: the model before all passes.
        score: a model's main figure on pictures to choose by, 0 to 1, higher is better.
        latency_ms: a model's measured time on a runtime, None for the target's own.
        train: trains a module.
        teacher: reads another model's card; None for the model before all passes.
        plan: how this pass's model is trained; None for not at all.
        folder: of this pass's checkpoints.
        brought: measures two models on each runtime that is installed: milliseconds and bytes, ready for JSON, by runtime; nothing
            where that is not wanted.
        sensitivity: measures what each group of channels bears, but for what is kept; nothing where the recipe does not want it.
        kept: what was measured of single layers or groups before this pass, in this run or an earlier one.
        evaluations: how many scores a pass may ask for to learn what each layer bears; 0 for not at all.
        pictures: that a score is of.
    """

    start: Subject
    score: Score
    latency_ms: Callable[[Subject, str | None], float]
    train: Train
    teacher: Callable[[str | None], Answering]
    plan: Plan | None
    folder: Path
    say: Callable[[str], None]
    brought: Callable[[Subject, Subject], Mapping[str, Any]] = field(default=lambda _before, _after: {})
    sensitivity: Callable[[ChannelGroups, KeptScores], Sequence[GroupSensitivity]] = field(
        default=lambda _groups, _kept: ()
    )
    kept: KeptScores = field(default_factory=KeptScores)
    evaluations: int = 0
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class PassDone:
    """What a pass gave.

    Attributes:
        record: what it did, ready for JSON.
        training: of a pass that learns, what its training came to.
    """

    subject: Subject
    record: Mapping[str, Any]
    training: Mapping[str, Any] | None = None


class Pass(Protocol):
    """A model in, a smaller model and a record of what changed out."""

    def __call__(self, settings: Any, subject: Subject, bench: Workbench) -> PassDone:
        """Return what the pass gave; the subject it was given stays as it is.

        Raises:
            InputError: the pass cannot do what its settings ask for with this model.
        """
        ...
