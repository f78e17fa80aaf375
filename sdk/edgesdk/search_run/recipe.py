"""The recipe of a search's trial: what the space says under `compress`, with the trial's own settings put in (pure).

`compress.prune.macs` sets an argument of a pass, `compress.qat` whether the pass is run at all, `compress.recovery.epochs` a field
of the recipe's own. What is wrong with any of them is told before the first trial.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.compression.catalogue import PASSES
from edgesdk.compression.pass_settings import Prune
from edgesdk.compression.recipe import Recipe
from edgesdk.search.parameter import Choice, Range, Scalar
from edgesdk.search.space import Deploy, Space, area_of
from edgesdk_converters.routes import QUANTISED
from edgesdk_converters.several import check_batch
from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import YamlDocument, validate

AREA = "compress"
# What a recipe says of its own and a search says elsewhere.
_SAID = {
    "data": "data, train_data and calib_data",
    "precision": "deploy.precision",
    "loss": "loss",
    "name": "model",
    "version": "model",
}
_FIELDS = tuple(name for name in Recipe.model_fields if name not in {*_SAID, "passes"})
_Values = Mapping[str, Scalar]


def recipe_for(space: Space, parameters: _Values) -> Recipe | None:
    """Return a trial's recipe; None where the space has none, or the trial leaves every pass out.

    Args:
        parameters: of the trial, of all areas.

    Raises:
        InputError: passes or arguments do not go together; the message names the field.
    """
    if space.compress is None:
        return None
    given = area_of(parameters, AREA)
    left_out = {name for name, value in given.items() if name in PASSES and value is False}
    values = copy.deepcopy(space.compress)
    passes = [one for one in values["passes"] if _kind(one) not in left_out]
    for name, value in given.items():
        head, *rest = name.split(".")
        if head not in PASSES:
            _put(values, (head, *rest), value, name)
        elif rest and head not in left_out:
            _put(next(one for one in passes if _kind(one) == head), rest, value, name)
    return _read(space, {**values, "passes": passes}) if passes else None


def deployment_for(space: Space, parameters: _Values, recipe: Recipe | None) -> Deploy:
    """Return how a trial is deployed; where nobody says a precision, in the one that its passes are meant for."""
    given = {**space.deploy.model_dump(exclude_unset=True), **area_of(parameters, "deploy")}
    if recipe is not None and recipe.of_artifact is not None:
        given = {"precision": recipe.of_artifact, **given}
    return Deploy.model_validate(given)


def timed_as_deployed(recipe: Recipe, deploy: Deploy) -> Recipe:
    """Return a recipe whose budgets of time, if it has any, are measured in the precision in which the trial is deployed."""
    timed = any(isinstance(one, Prune) and one.timed for one in recipe.passes)
    return recipe.model_copy(update={"precision": deploy.precision.value}) if timed else recipe


def check_batches(space: Space, recipe: Recipe | None) -> None:
    """Refuse a space of which every trial would take several pictures at once in INT8.

    Args:
        recipe: of `check_compression`.

    Raises:
        InputError: it is so; the same is said of a single trial before it is trained.
    """
    batches = space.parameters.get("deploy.batch")
    least = space.deploy.batch if batches is None else min(int(end) for end in _ends(batches))
    precisions = space.precisions
    if "deploy.precision" not in space.parameters and f"{AREA}.qat" not in space.parameters:
        precisions = (deployment_for(space, {}, recipe).precision,)
    if all(precision in QUANTISED for precision in precisions):
        check_batch(least, quantised=True)


def check_compression(space: Space) -> Recipe | None:
    """Check the recipe, and every parameter of it at its ends; return it with all passes, or as the baseline has it.

    None where there is none, or where the passes exclude each other, and no baseline says which are run together.

    Raises:
        InputError: a pass or an argument is not known, a value is none that the pass takes, or pictures are missing.
    """
    if space.compress is None:
        return None
    kinds = _kinds(space.compress)
    given = area_of(space.parameters, AREA)
    for name, parameter in given.items():
        _check_place(name, parameter, kinds)
    first = {f"{AREA}.{name}": _ends(one)[0] for name, one in given.items()}
    # Each pass alone: which of them are run together, a trial says.
    for kind in dict.fromkeys(kinds):
        only = [one for one in space.compress["passes"] if _kind(one) == kind]
        alone = space.model_copy(update={"compress": {**space.compress, "passes": only}})
        mine = {name: value for name, value in first.items() if name.split(".")[1] in {kind, *_FIELDS}}
        mine |= {f"{AREA}.{kind}": True}
        recipe_for(alone, mine)
        for name in mine:
            if name != f"{AREA}.{kind}":
                _check_ends(alone, mine, name)
    by_groups = next((kind for kind in kinds if PASSES[kind].sensitivity == "groups"), None)
    if by_groups is not None and space.train_data is None and space.compress.get("sensitivity") is not False:
        raise InputError(
            f"{AREA}: `{by_groups}` measures what each group of channels bears, and may not do so on the pictures of `data`.",
            hint=f"Give train_data, or write `sensitivity: false` under {AREA}.",
        )
    switches = {f"{AREA}.{name}": True for name in given if name in PASSES}
    try:
        return recipe_for(space, space.baseline or {**first, **switches})
    except InputError:
        if space.baseline or not switches:
            raise
        return None


def _read(space: Space, values: Mapping[str, Any]) -> Recipe:
    data = {"train": space.train_data, "evaluate": space.data, "calibrate": space.calib_data}
    given = {name: path for name, path in data.items() if path is not None}
    said: dict[str, Any] = {"data": given, **({"loss": space.loss} if space.loss is not None else {})}
    sensitivity = values.get("sensitivity", {})
    if isinstance(sensitivity, Mapping):
        # Many scores for each trial: what single layers bear is only measured where the space says how often.
        said["sensitivity"] = {"evaluations": 0, **sensitivity}
    return validate(Recipe, YamlDocument({**values, **said}, {}, AREA))


def _kinds(values: Mapping[str, Any]) -> list[str]:
    """Return the recipe's passes, checked as far as it takes to change them."""
    if said := next((name for name in _SAID if name in values), None):
        raise InputError(f"{AREA}: the search says `{said}` itself.", hint=f"It is {_SAID[said]} of the space.")
    passes = values.get("passes")
    if not isinstance(passes, Sequence) or isinstance(passes, str) or not passes:
        raise InputError(f"{AREA} names no passes.", hint="Write `passes: [{pass: prune, macs: 0.5}]`.")
    if (bare := next((one for one in passes if not isinstance(one, Mapping)), None)) is not None:
        raise InputError(f"{AREA}.passes: {bare!r} is no pass with its settings.", hint=f"Write `{{pass: {bare}}}`.")
    kinds = [_kind(one) for one in passes]
    if wrong := next((kind for kind in kinds if kind not in PASSES), None):
        raise InputError(f"{AREA}.passes: there is no pass {wrong!r}.", hint=f"One of: {', '.join(PASSES)}.")
    return kinds


def _kind(one: Mapping[str, Any]) -> str:
    return str(one.get("pass", one.get("kind")))


def _check_ends(alone: Space, mine: _Values, name: str) -> None:
    for value in _ends(alone.parameters[name]):
        try:
            recipe_for(alone, {**mine, name: value})
        except InputError as error:
            raise InputError(f"parameters.{name} cannot be {value!r}: {error.message}", hint=error.hint) from error


def _check_place(name: str, parameter: Choice | Range, kinds: Sequence[str]) -> None:
    """Check that a parameter names a pass of the recipe, or a field of its own."""
    head, _, rest = name.partition(".")
    said = f"parameters.{AREA}.{name}"
    if head not in PASSES and head not in _FIELDS:
        raise InputError(
            f"{said}: {head!r} is neither a pass nor a field of a recipe.",
            hint=f"Passes: {', '.join(PASSES)}. Fields: {', '.join(_FIELDS)}.",
        )
    if head in PASSES and kinds.count(head) != 1:
        count = "no" if head not in kinds else "more than one"
        raise InputError(
            f"{said}: {AREA}.passes has {count} `{head}`.", hint=f"Let it have one; it has {', '.join(kinds)}."
        )
    if head in PASSES and not rest and set(map(type, _ends(parameter))) != {bool}:
        raise InputError(
            f"{said}: a pass itself is run or left out.",
            hint="Write `{choice: [true, false]}`, or name an argument of it.",
        )


def _ends(parameter: Choice | Range) -> tuple[Scalar, ...]:
    return parameter.choice if isinstance(parameter, Choice) else (parameter.low, parameter.high)


def _put(values: dict[str, Any], path: Sequence[str], value: Scalar, name: str) -> None:
    """Set a value by its path, through settings that are given or absent."""
    for part in path[:-1]:
        inner = values.get(part)
        if inner is not None and not isinstance(inner, dict):
            raise InputError(
                f"parameters.{AREA}.{name}: `{part}` is {inner!r} under {AREA}, and has no such field.",
                hint=f"Take one of the two out, or write `{part}: {{}}`.",
            )
        values = values.setdefault(part, {}) if inner is None else inner
    values[path[-1]] = value
