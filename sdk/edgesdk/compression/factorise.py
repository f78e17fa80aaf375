"""Low-rank factorisation: a layer becomes two thinner ones, whose product is the nearest of that rank (SVD).

Convolutions: by channels (Zhang et al., 2015: the kernel to `rank` channels, then 1 x 1) or by space (Jaderberg et al., 2014: a
column, then a row), whichever is smaller at the same energy. Recurrent layers: the input matrices of all gates and
directions together; the hidden ones stay, as no runtime has a recurrent layer with them in two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgesdk.compression.budget import least_that_fits
from edgesdk.compression.changes import Factorised
from edgesdk.compression.factors import ProjectedInput, factorised
from edgesdk.compression.layers import exchange, layers_matching, sharing_layers
from edgesdk.compression.model_size import stored_tensors, total_macs
from edgesdk.compression.pass_settings import Factorise as Settings
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

Form = Literal["channel", "spatial", "input"]
FORMS: Mapping[type[nn.Module], tuple[Form, ...]] = {
    nn.Linear: ("channel",),
    nn.Conv2d: ("channel", "spatial"),
    nn.LSTM: ("input",),
    nn.GRU: ("input",),
}


@dataclass(frozen=True, slots=True)
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

    def rank_for(self, energy: float) -> int:
        """Return the least rank that keeps a part of the sum of squares."""
        squares = self.singular.double().square()
        kept = torch.cumsum(squares, 0) / squares.sum().clamp_min(1e-300)
        return min(int(torch.searchsorted(kept, energy - 1e-12)) + 1, len(self.singular))


def factorise(
    subject: Subject,
    layers: Sequence[str],
    *,
    energy: float | None = None,
    budget: tuple[Literal["parameters", "macs"], float] | None = None,
) -> tuple[Subject, dict[str, Any]]:
    """Factorise those layers that become smaller by it; layers that share a weight stay, as factors would part them.

    Args:
        layers: names, of the kinds in `FORMS`.
        energy: the part of each layer's sum of squares that is kept, in (0, 1].
        budget: what the whole model may at most have, as a fraction of what it has now; the greatest energy is taken that
            keeps to it. One of both.

    Raises:
        InputError: the budget cannot be met, even with rank 1 everywhere.
    """
    shared = sharing_layers(subject.module)
    spectra = {name: () if name in shared else decompose(subject.module.get_submodule(name)) for name in layers}
    if budget is None:
        assert energy is not None  # noqa: S101  (the recipe asks for one of both)
        return _at_energy(subject, spectra, energy)
    figure, part = budget
    count: Callable[[Subject], int] = total_macs if figure == "macs" else _parameters
    whole = count(subject)
    return least_that_fits(
        lambda lost: _at_energy(subject, spectra, 1.0 - lost),
        measure=lambda made: count(made[0]),
        limit=part * whole,
        most=1.0,
        what=f"{figure} after factorisation",
        stands_in_the_way="layers that this pass does not know, that share a weight, or that rank 1 does not make smaller, hold "
        f"the rest; it knows {', '.join(layers[:5])}{' …' if len(layers) > 5 else ''}",
        whole=whole,
    )


def _parameters(subject: Subject) -> int:
    return sum(tensor.numel() for tensor in stored_tensors(subject.module))


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
        return torch.cat([getattr(layer, name) for name in _input_weights(layer)])
    weight = layer.weight
    assert isinstance(weight, Tensor)  # noqa: S101  (all of `FORMS` have one)
    if form == "spatial":
        outputs, inputs, height, width = weight.shape
        return weight.permute(0, 3, 1, 2).reshape(outputs * width, inputs * height)
    return weight.flatten(1)


def _input_weights(layer: nn.RNNBase) -> list[str]:
    """Return the names of the first layer's input matrices; those of later ones read what is hidden."""
    return ["weight_ih_l0", *(["weight_ih_l0_reverse"] if layer.bidirectional else [])]


def _at_energy(
    subject: Subject, spectra: Mapping[str, tuple[Spectrum, ...]], energy: float
) -> tuple[Subject, dict[str, Any]]:
    module = subject.copy()
    changes: list[Factorised] = []
    left: list[str] = []
    for name, forms in spectra.items():
        plans = [(spectrum.rank_for(energy), spectrum) for spectrum in forms]
        worth = [
            (rank * spectrum.cost, rank, spectrum) for rank, spectrum in plans if rank * spectrum.cost < spectrum.whole
        ]
        if not worth:
            left.append(name)
            continue
        _, rank, best = min(worth, key=lambda plan: plan[0])
        change = Factorised(layer=name, rank=rank, form=best.form)
        layer = module.get_submodule(name)
        made = factorised(layer, change)
        _set(layer, made, best, rank)
        exchange(module, layer, made)
        changes.append(change)
    made_of = subject.changed(module, changes)
    made_of.check("factorisation", [change.layer for change in changes])
    record = {
        "energy": round(energy, 6),
        "layers": {change.layer: {"rank": change.rank, "form": change.form} for change in changes},
        "left": left,
    }
    return made_of, record


@torch.no_grad()
def _set(layer: nn.Module, made: nn.Module, spectrum: Spectrum, rank: int) -> None:
    """Set both factors; the singular values are shared out evenly, so that both train alike."""
    root = spectrum.singular[:rank].sqrt()
    second, first = spectrum.left[:, :rank] * root, root[:, None] * spectrum.right[:rank]
    if isinstance(made, ProjectedInput):
        assert isinstance(layer, nn.RNNBase)  # noqa: S101
        made.project.weight.copy_(first)
        names = _input_weights(layer)
        for name, part in zip(names, second.chunk(len(names)), strict=True):
            getattr(made.inner, name).copy_(part)
        for name, value in layer.named_parameters():
            if name not in names:
                getattr(made.inner, name).copy_(value)
        return
    assert isinstance(made, nn.Sequential)  # noqa: S101
    one: Any = made[0]
    two: Any = made[1]
    one.weight.copy_(first.reshape(one.weight.shape))
    if spectrum.form == "spatial":
        outputs, _, _, width = two.weight.shape
        two.weight.copy_(second.reshape(outputs, width, rank).permute(0, 2, 1).reshape(two.weight.shape))
    else:
        two.weight.copy_(second.reshape(two.weight.shape))
    bias: Any = layer.bias
    if bias is not None:
        two.bias.copy_(bias)


def factorise_pass(settings: Settings, subject: Subject, _bench: Workbench) -> PassDone:
    """Factorise the layers that the settings name."""
    layers = layers_matching(subject.module, settings.layers, tuple(FORMS))
    if settings.energy is not None:
        return PassDone(*factorise(subject, layers, energy=settings.energy))
    if settings.parameters is not None:
        return PassDone(*factorise(subject, layers, budget=("parameters", settings.parameters)))
    assert settings.macs is not None  # noqa: S101  (one of the three, as the recipe checks)
    return PassDone(*factorise(subject, layers, budget=("macs", settings.macs)))
