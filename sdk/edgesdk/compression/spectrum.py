"""A layer's weight as a matrix, decomposed: what low-rank factors are taken from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgesdk.compression.layers import sharing_layers
from edgesdk.compression.subject import Subject

Form = Literal["channel", "spatial", "input"]
FORMS: Mapping[type[nn.Module], tuple[Form, ...]] = {
    nn.Linear: ("channel",),
    nn.Conv2d: ("channel", "spatial"),
    nn.LSTM: ("input",),
    nn.GRU: ("input",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """A layer's weight as a matrix, decomposed.

    Attributes:
        left, singular, right: matrix = left · diag(singular) · right.
        cost: numbers that one rank takes.
        whole: numbers that the layer takes now.
    """

    form: Form
    left: Tensor
    singular: Tensor
    right: Tensor
    cost: int
    whole: int

    def kept_by(self, rank: int) -> float:
        """Return the part of the sum of squares that a rank keeps."""
        squares = self.singular.double().square()
        return float(squares[:rank].sum() / squares.sum().clamp_min(1e-300))

    def rank_for(self, energy: float) -> int:
        """Return the least rank that keeps a part of the sum of squares."""
        squares = self.singular.double().square()
        kept = torch.cumsum(squares, 0) / squares.sum().clamp_min(1e-300)
        return min(int(torch.searchsorted(kept, energy - 1e-12)) + 1, len(self.singular))


# A layer's decompositions, by its name; none of a layer that has to stay.
Spectra = Mapping[str, tuple[Spectrum, ...]]
# What becomes of a layer: a rank and the form that it is taken in; None where it stays.
Plan = tuple[int, Spectrum] | None


def spectra_of(subject: Subject, layers: Sequence[str]) -> Spectra:
    """Decompose layers; those that share a weight stay, as factors would part them."""
    shared = sharing_layers(subject.module)
    return {name: () if name in shared else decompose(subject.module.get_submodule(name)) for name in layers}


def plan_for(forms: Sequence[Spectrum], energy: float) -> Plan:
    """Return the form of fewest numbers that keeps an energy; None where none has fewer than the layer."""
    ranks = [(spectrum.rank_for(energy), spectrum) for spectrum in forms]
    worth = [plan for plan in ranks if plan[0] * plan[1].cost < plan[1].whole]
    return min(worth, key=lambda plan: plan[0] * plan[1].cost, default=None)


def decompose(layer: nn.Module) -> tuple[Spectrum, ...]:
    """Return a layer's forms, decomposed; none for a convolution in groups or with a padding given as text."""
    if isinstance(layer, nn.Conv2d) and (
        layer.groups != 1 or isinstance(layer.padding, str) or layer.padding_mode != "zeros"
    ):
        return ()
    forms = FORMS[type(layer)]
    if isinstance(layer, nn.Conv2d) and (1 in layer.kernel_size):
        forms = ("channel",)
    return tuple(_spectrum(form, _matrix(layer, form)) for form in forms)


def _spectrum(form: Form, matrix: Tensor) -> Spectrum:
    left, singular, right = torch.linalg.svd(matrix.detach().double(), full_matrices=False)
    return Spectrum(form, left, singular, right, sum(matrix.shape), matrix.numel())


def _matrix(layer: nn.Module, form: Form) -> Tensor:
    """Return the weight with what the first factor reads across, and what the second gives down: (outputs, inputs)."""
    if form == "input":
        assert isinstance(layer, nn.RNNBase)  # noqa: S101  (of `FORMS`)
        return torch.cat([getattr(layer, name) for name in input_weights(layer)])
    weight = layer.weight
    assert isinstance(weight, Tensor)  # noqa: S101  (all of `FORMS` have one)
    if form == "spatial":
        outputs, inputs, height, width = weight.shape
        return weight.permute(0, 3, 1, 2).reshape(outputs * width, inputs * height)
    return weight.flatten(1)


def input_weights(layer: nn.RNNBase) -> list[str]:
    """Return the names of the first layer's input matrices; those of later ones read what is hidden."""
    return ["weight_ih_l0", *(["weight_ih_l0_reverse"] if layer.bidirectional else [])]
