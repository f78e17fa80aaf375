"""What the passes hand on: a model, and what was changed in it so far."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgesdk.compression.changes import Change, Changes, Clustered, Sparse
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under compression.

    A pass never changes the module it is given; it takes a `copy`.

    Attributes:
        module: on the CPU, in evaluation mode.
        example: one input tensor for each input of the model, batch of one.
        changes: from what the author's factory builds to this module, in order.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    changes: Changes = ()

    def copy(self) -> nn.Module:
        """Return a copy of the module."""
        return copy.deepcopy(self.module)

    def changed(self, module: nn.Module, changes: Iterable[Change]) -> Subject:
        """Return what a pass made of it, with what it changed."""
        return replace(self, module=module.eval(), changes=(*self.changes, *changes))

    def retrained(self, module: nn.Module) -> Subject:
        """Return it with other weights."""
        return replace(self, module=module.eval())

    @property
    def held(self) -> tuple[Sparse | Clustered, ...]:
        """What training has to keep: the last word on each layer."""
        last = {change.layer: change for change in self.changes if isinstance(change, Sparse | Clustered)}
        return tuple(last.values())

    def check(self, doing: str, layers: Iterable[str] = ()) -> None:
        """Run the model once.

        Args:
            doing: the pass, for the message.
            layers: that it changed.

        Raises:
            InputError: it does not run any more.
        """
        try:
            self.run()
        except Exception as error:  # the user's code may raise anything
            named = ", ".join(list(layers)[:5])
            raise InputError(
                f"The model does not run after {doing}{f' of {named}' if named else ''}: {type(error).__name__}: {error}",
                hint="Its code reaches into these layers, or expects their shapes. Leave them out: `skip: [layer.*]`.",
            ) from error

    @torch.no_grad()
    def run(self) -> tuple[Tensor, ...]:
        """Return the answers to the example."""
        return flat(self.module(*self.example))


def flat(answer: object) -> tuple[Tensor, ...]:
    """Return the tensors of an answer: one, several, or named ones."""
    if isinstance(answer, Tensor):
        return (answer,)
    values = answer.values() if isinstance(answer, dict) else answer
    return tuple(tensor for part in values for tensor in flat(part))  # type: ignore[attr-defined]  # tuples and lists
