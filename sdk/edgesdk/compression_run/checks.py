"""What can be wrong with a recipe for a certain model, told before the first pass: layers and teachers."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from edgesdk.compression.cluster_weights import CLUSTERED
from edgesdk.compression.distil import distillation
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.pass_settings import Cluster, Distil, Factorise, PassSettings, Prune, Qat, Sparsify, Tie
from edgesdk.compression.prune_weights import PRUNED
from edgesdk.compression.quantise_aware import QUANTISED
from edgesdk.compression.recipe import Recipe
from edgesdk.compression.spectrum import FORMS
from edgesdk.compression.tie_layers import groups_of
from edgesdk.compression.workbench import Answering
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.card import CardFile
from edgesdk_targets.decode.activation import activation_of
from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.errors import InputError


def teachers_of(recipe: Recipe, base: Path, card: CardFile) -> dict[str, Source]:
    """Return the teachers that a recipe names.

    Raises:
        InputError: one cannot be read, or answers something else than the model, or to other pictures.
    """
    found: dict[str, Source] = {}
    for settings in recipe.passes:
        if isinstance(settings, Distil) and settings.teacher is not None:
            source = found[settings.teacher] = resolve_source(base / settings.teacher)
            _check_teacher(settings.teacher, source.card_file, card)
    return found


def _check_teacher(name: str, teacher: CardFile, student: CardFile) -> None:
    one, two = teacher.card, student.card
    facts = {
        "task": (one.task, two.task),
        "labels": (teacher.labels, student.labels),
        "input": (one.input.model_dump(exclude={"name"}), two.input.model_dump(exclude={"name"})),
        "preprocess": (one.preprocess, two.preprocess),
    }
    if other := [fact for fact, (own, wanted) in facts.items() if own != wanted]:
        raise InputError(
            f"The teacher {name} has another {other[0]} in its card than the model: "
            f"{facts[other[0]][0]} instead of {facts[other[0]][1]}.",
            hint="A teacher is given the very pictures of the model, and its answers are compared one by one.",
        )


def activation_for(card: CardFile) -> Activation | None:
    """Return what makes probabilities of a model's first output; None for a task without."""
    if card.card.task not in {"classify", "text"}:
        return None
    outputs = card.card.outputs
    return activation_of(outputs[0] if outputs else "logits", card.card.postprocess.activation)


def check_layers(recipe: Recipe, module: nn.Module) -> None:
    """Check that the layers which the passes name are there, up to a factorisation, which gives layers other names.

    Raises:
        InputError: a pattern fits none.
    """
    for settings in recipe.ordered:
        _check_layers(settings, module)
        if isinstance(settings, Factorise):
            return


def _check_layers(settings: PassSettings, module: nn.Module) -> None:
    if isinstance(settings, Tie):
        groups_of(settings, module)
    elif isinstance(settings, Prune):
        for pattern in settings.skip:
            if not any(fnmatchcase(name, pattern) for name, _ in module.named_modules()):
                raise InputError(
                    f"No layer fits the pattern {pattern!r} of `skip`.", hint="Correct it, or leave it out."
                )
    elif isinstance(settings, Sparsify):
        layers_matching(module, settings.layers, PRUNED)
    elif isinstance(settings, Factorise):
        layers_matching(module, settings.layers, tuple(FORMS))
    elif isinstance(settings, Cluster):
        layers_matching(module, settings.layers, CLUSTERED)
    elif isinstance(settings, Qat):
        layers_matching(module, (*settings.layers, *settings.skip), QUANTISED)


def check_distillation(recipe: Recipe, student: Answering, teachers: Mapping[str | None, Answering]) -> None:
    """Check that the model can learn from its teachers.

    Args:
        teachers: by their names; None is the model before all passes.

    Raises:
        InputError: answers or features cannot be compared.
    """
    for settings in recipe.passes:
        if isinstance(settings, Distil):
            distillation(settings, teachers[settings.teacher], student)
