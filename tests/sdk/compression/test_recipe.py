"""A recipe is checked before anything is loaded, and its passes come in a sound order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk.compression.catalogue import PASSES
from edgesdk.compression.pass_settings import PassSettings
from edgesdk.compression.recipe import read_recipe, recipe_of
from edgesdk.train.plan import Plan
from edgesdk_targets.errors import InputError

DATA = {"train": "train", "evaluate": "test"}
PRUNE = {"pass": "prune", "macs": 0.5}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown pass": (
        {"passes": [{"pass": "prune_it"}]},
        r"passes\[0\]: pass 'prune_it' is not known; did you mean 'prune'",
    ),
    "no pass": ({"passes": []}, "passes"),
    "a pass without a name": ({"passes": [{"macs": 0.5}]}, r"passes\[0\]: 'pass' is required, but missing"),
    "a pass of no known name": ({"passes": [{"pass": "xyz"}]}, "pass 'xyz' is not known; one of prune, sparsify, "),
    "an unknown field": ({"passes": [{**PRUNE, "mac": 0.5}]}, "mac"),
    "NaN": ({"passes": [{"pass": "prune", "macs": float("nan")}]}, "macs"),
    "more than all": ({"passes": [{"pass": "prune", "macs": 1.5}]}, "macs"),
    "two budgets": ({"passes": [{**PRUNE, "latency": 0.5}]}, "one of macs, latency"),
    "no budget": ({"passes": [{"pass": "factorise"}]}, "one of energy, parameters, macs"),
    "a runtime without a time": ({"passes": [{**PRUNE, "runtime": "openvino"}]}, "runtime"),
    "what undoes each other": ({"passes": [{"pass": "cluster"}, {"pass": "qat"}]}, "undo each other"),
    "learning from nothing": ({"passes": [{"pass": "qat"}], "data": {"evaluate": "test"}}, "data.train"),
    "INT8 without pictures": ({"passes": [PRUNE], "data": {"evaluate": "test"}, "precision": "int8"}, "data.calibrate"),
    "a teacher that teaches nothing": ({"passes": [{"pass": "distil", "weight": 0}]}, "nothing is learnt"),
    "a wrong plan": ({"passes": [PRUNE], "recovery": {"epochs": 0}}, "epochs"),
}


@pytest.mark.parametrize(("given", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_recipe_is_refused_by_its_field(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        recipe_of({"data": DATA, **given})


def test_of_a_wrong_pass_nothing_else_is_said() -> None:
    with pytest.raises(InputError) as refused:
        recipe_of({"data": DATA, "passes": [{"pass": "xyz"}]})
    assert len(refused.value.message.splitlines()) == 1


def test_the_message_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {evaluate: test}\npasses:\n  - {pass: prune, macs: .nan}\n")
    with pytest.raises(InputError, match=r"recipe\.yaml:3"):
        read_recipe(path)


def test_passes_come_in_a_sound_order_whatever_is_written() -> None:
    kinds = ["qat", "fold", "distil", "factorise", "prune", "tie"]
    settings: dict[str, dict[str, Any]] = {"prune": PRUNE, "factorise": {"energy": 0.9}, "tie": {"groups": ["a*"]}}
    recipe = recipe_of([{**settings.get(kind, {}), "pass": kind} for kind in kinds], data=DATA)
    assert [one.kind for one in recipe.ordered] == list(reversed(kinds))
    assert recipe.reordered


def test_a_pass_before_one_that_learns_recovers_by_it_and_is_judged_with_it() -> None:
    recipe = recipe_of([PRUNE, {"pass": "distil", "training": {"epochs": 3}}, {"pass": "fold"}], data=DATA)
    prune, distil, fold = recipe.steps()
    assert (prune.plan, prune.judged) == (None, False)
    assert (distil.plan, distil.judged) == (Plan(epochs=3), True)
    assert (fold.plan, fold.judged) == (None, True)


@pytest.mark.parametrize(
    ("rest", "epochs"),
    [({}, 10), ({"recovery": False}, None), ({"recovery": {"epochs": 4}}, 4), ({"data": {"evaluate": "test"}}, None)],
    ids=["usual", "none", "own", "nothing to learn from"],
)
def test_a_pass_that_costs_is_followed_by_a_recovery(rest: dict[str, Any], epochs: int | None) -> None:
    (step,) = recipe_of({"passes": [PRUNE], "data": DATA, **rest}).steps()
    assert step.judged
    assert (step.plan.epochs if step.plan else None) == epochs


def test_a_passs_own_recovery_counts_before_the_recipes() -> None:
    recipe = recipe_of([{**PRUNE, "recover": {"epochs": 2}}, {"pass": "qat"}], data=DATA)
    assert recipe.steps()[0].plan == Plan(epochs=2)
    assert recipe.steps()[0].judged


def test_the_catalogue_has_what_recipes_know_and_each_can_be_loaded() -> None:
    union, _ = PassSettings.__metadata__[0], None
    assert union.discriminator == "kind"
    known = {kind.model_fields["kind"].annotation.__args__[0] for kind in PassSettings.__origin__.__args__}
    assert known == set(PASSES)
    assert all(callable(kind.load()) for kind in PASSES.values())
