"""Low-rank factorisation: a layer becomes two thinner ones, whose product is the nearest of that rank (SVD).

Convolutions: by channels (Zhang et al., 2015: the kernel to `rank` channels, then 1 x 1) or by space (Jaderberg et al., 2014: a
column, then a row), whichever is smaller at the same energy. Recurrent layers: the input matrices of all gates and
directions together; the hidden ones stay, as no runtime has a recurrent layer with them in two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from edgesdk.compression.budget import least_that_fits
from edgesdk.compression.changes import Factorised
from edgesdk.compression.factors import ProjectedInput, factorised
from edgesdk.compression.layers import exchange
from edgesdk.compression.model_size import stored_tensors, total_macs
from edgesdk.compression.spectrum import Plan, Spectra, Spectrum, input_weights, plan_for, spectra_of
from edgesdk.compression.subject import Subject

Budget = tuple[Literal["parameters", "macs"], float]


def factorise(
    subject: Subject,
    layers: Sequence[str],
    *,
    energy: float | None = None,
    budget: Budget | None = None,
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
    return factorised_alike(subject, spectra_of(subject, layers), energy, budget)


def factorised_alike(
    subject: Subject, spectra: Spectra, energy: float | None, budget: Budget | None
) -> tuple[Subject, dict[str, Any]]:
    if budget is None:
        assert energy is not None  # noqa: S101  (the recipe asks for one of both)
        return _at_energy(subject, spectra, energy)
    figure, part = budget
    count = COUNTS[figure]
    whole = count(subject)
    layers = list(spectra)
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


COUNTS: Mapping[str, Callable[[Subject], int]] = {"macs": total_macs, "parameters": _parameters}


def _at_energy(subject: Subject, spectra: Spectra, energy: float) -> tuple[Subject, dict[str, Any]]:
    made, record = with_ranks(subject, {name: plan_for(forms, energy) for name, forms in spectra.items()})
    return made, {"energy": round(energy, 6), **record}


def with_ranks(subject: Subject, plans: Mapping[str, Plan]) -> tuple[Subject, dict[str, Any]]:
    """Factorise each layer as it is planned.

    Raises:
        InputError: the model does not run any more.
    """
    module = subject.copy()
    changes: list[Factorised] = []
    for name, plan in plans.items():
        if plan is None:
            continue
        rank, spectrum = plan
        change = Factorised(layer=name, rank=rank, form=spectrum.form)
        layer = module.get_submodule(name)
        made = factorised(layer, change)
        _set(layer, made, spectrum, rank)
        exchange(module, layer, made)
        changes.append(change)
    made_of = subject.changed(module, changes)
    made_of.check("factorisation", [change.layer for change in changes])
    record = {
        "layers": {
            name: {"rank": plan[0], "form": plan[1].form, "energy": round(plan[1].kept_by(plan[0]), 6)}
            for name, plan in plans.items()
            if plan is not None
        },
        "left": [name for name, plan in plans.items() if plan is None],
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
        names = input_weights(layer)
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
