"""What must be the same for a training to go on from a checkpoint, or to be given back as finished.

Where it runs and when it ends may change. Each part has its own digest, so that a refusal can name what differs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgesdk.train.batch import ExampleSet, ListedExamples
from edgesdk.train.checkpoint import weights_bytes
from edgesdk.train.examples import Examples
from edgesdk.train.losses import ClassLoss, CtcLoss
from edgesdk.train.measure import Measure
from edgesdk.train.moment import Loss, Term
from edgesdk.train.plan import Plan

if TYPE_CHECKING:
    from torch import nn

_MAY_CHANGE = {"device", "threads", "workers", "cache_mb", "cache_disk_mb", "minutes", "patience"}


def identity_of(
    model: nn.Module,
    loss: Loss,
    measure: Measure | None,
    terms: Mapping[str, Term],
    examples: Examples,
    plan: Plan,
) -> dict[str, str]:
    """Return a digest of each part of a training, by what it is called.

    Args:
        model: with the weights that the training begins with.
    """
    shapes = [(name, str(getattr(value, "dtype", ""))) for name, value in model.state_dict().items()]
    sizes = [(name, list(p.shape), p.requires_grad) for name, p in model.named_parameters()]
    prepared = [examples.task, str(examples.preprocess), str(examples.tensor)]
    chosen = measure.name if measure is not None else ""
    return {
        "plan": _digest(plan.model_dump(mode="json", exclude=_MAY_CHANGE)),
        "model": _digest([shapes, sizes]),
        "start weights": hashlib.sha256(weights_bytes(model)).hexdigest(),
        "loss": _digest([_name_of(loss), sorted(terms), chosen]),
        "preprocessing": _digest(prepared),
        "pictures to learn from": _digest(_contents(examples.train)),
        "pictures to judge by": _digest(_contents(examples.validation)),
    }


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the parts that are not the same."""
    return [name for name in one if one[name] != other.get(name)]


def _contents(examples: ExampleSet) -> list[Any]:
    """Return what tells examples from others; of a program's own their number, unless it says more."""
    return [len(examples), examples.digest() if isinstance(examples, ListedExamples) else ""]


def _name_of(loss: Loss) -> str:
    if isinstance(loss, (ClassLoss, CtcLoss)):
        return repr(loss)
    if isinstance(loss, functools.partial):
        return _name_of(loss.func)
    named: Any = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}:{named.__qualname__}"


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
