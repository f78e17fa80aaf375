"""Compression in a space: what a trial's recipe is, and what is refused before the first trial."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from edgesdk.search.space import Space
from edgesdk.search_run.recipe import check_batches, check_compression, deployment_for, recipe_for, timed_as_deployed
from edgesdk_targets.errors import InputError

PASSES = [{"pass": "prune", "macs": 0.5}, {"pass": "cluster"}, {"pass": "qat", "training": {"epochs": 2}}]
FIELDS: dict[str, Any] = {
    "model": "card.yaml",
    "target": "x86-cpu",
    "data": "judged",
    "train_data": "pictures",
    "objectives": ("top1",),
    "compress": {"passes": PASSES, "recovery": {"epochs": 3}},
    "parameters": {
        "compress.prune.macs": {"low": 0.2, "high": 0.9},
        "compress.cluster": {"choice": [True, False]},
        "compress.cluster.count": {"choice": [8, 16]},
        "compress.qat": {"choice": [True, False]},
        "compress.qat.training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "compress.recovery.epochs": {"choice": [1, 5]},
    },
}
THREADS = {"deploy.threads": {"choice": [1]}}
TRIAL = {
    "compress.prune.macs": 0.3,
    "compress.cluster": False,
    "compress.cluster.count": 8,
    "compress.qat": True,
    "compress.qat.training.learning_rate": 0.002,
    "compress.recovery.epochs": 5,
}


def _space(**changes: Any) -> Space:
    return Space.model_validate({**FIELDS, **changes})


def test_a_trial_sets_arguments_and_takes_passes_out() -> None:
    recipe = recipe_for(_space(), TRIAL)
    assert recipe is not None
    prune, qat = recipe.passes
    assert (prune.kind, prune.macs) == ("prune", 0.3)  # type: ignore[union-attr]  # the first is `prune`
    assert (qat.training.epochs, qat.training.learning_rate) == (2, 0.002)  # type: ignore[union-attr]  # and this `qat`
    assert recipe.recovery is not False
    assert recipe.recovery.epochs == 5
    assert recipe.of_artifact == "int8"
    assert (recipe.data.train, recipe.data.evaluate) == ("pictures", "judged")
    assert FIELDS["compress"]["passes"][0] == {"pass": "prune", "macs": 0.5}


def test_the_loss_of_a_space_is_that_of_its_recipes() -> None:
    recipe, usual = recipe_for(_space(loss="my_loss:of"), TRIAL), recipe_for(_space(), TRIAL)
    assert recipe is not None
    assert usual is not None
    assert (recipe.loss, usual.loss) == ("my_loss:of", None)


def test_a_trial_without_a_pass_has_no_recipe() -> None:
    space = _space(compress={"passes": [{"pass": "fold"}]}, parameters={"compress.fold": {"choice": [True, False]}})
    assert recipe_for(space, {"compress.fold": False}) is None
    assert recipe_for(space, {"compress.fold": True}) is not None


def test_what_learns_to_round_is_int8_unless_somebody_says_otherwise() -> None:
    recipe, plain = recipe_for(_space(), TRIAL), recipe_for(_space(), {**TRIAL, "compress.qat": False})
    assert deployment_for(_space(), {"deploy.threads": 2}, recipe).model_dump(exclude_unset=True) == {
        "precision": "int8",
        "threads": 2,
    }
    assert deployment_for(_space(), {}, plain).precision == "fp32"
    assert deployment_for(_space(deploy={"precision": "fp16"}), {}, recipe).precision == "fp16"
    assert deployment_for(_space(), {"deploy.precision": "mixed"}, recipe).precision == "mixed"


def test_passes_that_exclude_each_other_fail_the_trial_and_not_the_search() -> None:
    assert check_compression(_space()) is None
    with pytest.raises(InputError, match="undo each other"):
        recipe_for(_space(), {**TRIAL, "compress.cluster": True})
    told = check_compression(_space(baseline=TRIAL))
    assert told is not None
    assert [one.kind for one in told.passes] == ["prune", "qat"]


@pytest.mark.parametrize(
    ("name", "parameter", "said"),
    [
        ("compress.purne.macs", {"choice": [0.5]}, "'purne' is neither a pass nor a field"),
        ("compress.distil.temperature", {"choice": [4.0]}, "has no `distil`"),
        ("compress.prune.mcas", {"choice": [0.5]}, r"compress\.prune\.mcas|mcas"),
        ("compress.prune.macs", {"low": 0.2, "high": 1.5}, r"compress\.prune\.macs cannot be 1\.5"),
        ("compress.prune.latency", {"choice": [0.5]}, "one of macs, latency"),
        ("compress.cluster.count", {"choice": [16, 1]}, r"compress\.cluster\.count cannot be 1:"),
        ("compress.cluster", {"choice": [True, 16]}, "run or left out"),
        ("compress.recovery.epoch", {"choice": [1]}, "epoch"),
        ("compress.prune.macs.more", {"choice": [1]}, "has no such field"),
    ],
    ids=["pass", "absent", "argument", "range", "both", "end", "switch", "field", "deep"],
)
def test_what_no_trial_could_have_is_refused(name: str, parameter: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_compression(_space(parameters={name: parameter}))


@pytest.mark.parametrize(
    ("compress", "said"),
    [
        ({"passes": [{"pass": "shrink"}]}, "no pass 'shrink'"),
        ({"passes": []}, "names no passes"),
        ({"passes": ["prune"]}, "'prune' is no pass with its settings"),
        ({"passes": PASSES[:1], "precision": "int8"}, "says `precision` itself"),
        ({"passes": PASSES[:1] * 2}, "more than one `prune`"),
    ],
    ids=["unknown", "none", "bare", "precision", "twice"],
)
def test_a_recipe_that_cannot_be_searched_is_refused(compress: dict[str, Any], said: str) -> None:
    parameters = {"compress.prune.macs": {"choice": [0.5]}}
    with pytest.raises(InputError, match=said):
        check_compression(_space(compress=compress, parameters=parameters))


def test_what_a_pass_is_chosen_by_is_not_what_the_trial_is_judged_by() -> None:
    only = {"compress": {"passes": PASSES[:1]}, "parameters": {"compress.prune.macs": {"choice": [0.5]}}}
    with pytest.raises(InputError, match="may not do so on the pictures of `data`"):
        check_compression(_space(**only, train_data=None))
    bare = {**only, "compress": {"passes": PASSES[:1], "sensitivity": False}}
    assert check_compression(_space(**bare, train_data=None)) is not None
    # A pass that would measure layers needs none: without, layers are alike.
    cluster = {"compress": {"passes": PASSES[1:2]}, "parameters": THREADS}
    assert check_compression(_space(**cluster, train_data=None)) is not None


@pytest.mark.parametrize(
    ("sensitivity", "parameters", "expected"),
    [
        ({}, {}, 0),
        ({"sensitivity": {"ratios": [0.5]}}, {}, 0),
        ({"sensitivity": {"evaluations": 20}}, {}, 20),
        ({}, {"compress.sensitivity.evaluations": 30}, 30),
    ],
    ids=["usual", "of groups", "asked for", "searched"],
)
def test_what_layers_bear_is_measured_in_a_search_only_where_the_space_asks(
    sensitivity: dict[str, Any], parameters: dict[str, int], expected: int
) -> None:
    recipe = recipe_for(_space(compress={"passes": PASSES[:2], **sensitivity}), parameters)
    assert recipe is not None
    assert recipe.sensitivity is not False
    assert recipe.sensitivity.evaluations == expected


@pytest.mark.parametrize(
    ("given", "precision"), [({"latency": 0.5}, "int8"), ({"macs": 0.5}, None)], ids=["ms", "macs"]
)
def test_a_budget_of_time_is_measured_as_the_trial_is_deployed(given: dict[str, float], precision: str | None) -> None:
    space = _space(compress={"passes": [{"pass": "prune", **given}]}, parameters=THREADS, deploy={"precision": "int8"})
    recipe = recipe_for(space, {})
    assert recipe is not None
    assert timed_as_deployed(recipe, deployment_for(space, {}, recipe)).of_artifact == precision


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"compress": None, "deploy": {"precision": "int8", "batch": 4}}, True),
        ({"compress": None, "deploy": {"precision": "int8"}, "parameters": {"deploy.batch": {"choice": [2, 4]}}}, True),
        ({"compress": {"passes": PASSES[2:]}, "deploy": {"batch": 4}}, True),
        (
            {"compress": None, "deploy": {"precision": "int8"}, "parameters": {"deploy.batch": {"choice": [1, 4]}}},
            False,
        ),
        (
            {
                "compress": {"passes": PASSES[2:]},
                "deploy": {"batch": 4},
                "parameters": {"compress.qat": {"choice": [True, False]}},
            },
            False,
        ),
    ],
    ids=["given", "searched", "qat", "one-possible", "qat-or-not"],
)
def test_batches_of_which_no_trial_could_be_converted_are_refused(changes: dict[str, Any], *, refused: bool) -> None:
    space = _space(**{"parameters": THREADS, **changes})
    recipe = check_compression(space)
    with pytest.raises(InputError, match="INT8 is built for one picture") if refused else nullcontext():
        check_batches(space, recipe)
