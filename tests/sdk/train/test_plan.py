"""A plan says what it does not know, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgesdk.train.plan import Augment, Plan, plan_of, read_plan
from edgesdk.train.schedule import rate_at
from edgesdk_targets.errors import InputError


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("epochs: 3\noptimiser: sgd\naugment: {shift: 0.1}\n", "utf-8")
    plan = read_plan(path)
    assert (plan.epochs, plan.optimiser, plan.augment) == (3, "sgd", Augment(shift=0.1))
    with pytest.raises(ValidationError):
        plan.epochs = 4  # type: ignore[misc]


def test_what_is_unknown_or_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("epochs: 3\nlearningrate: 1\n", "utf-8")
    with pytest.raises(InputError, match=r"plan.yaml:2: field learningrate"):
        read_plan(path)
    with pytest.raises(InputError, match=r"recipe.yaml.*augment.mixup"):
        plan_of({"augment": {"mixup": 1}}, "recipe.yaml")
    with pytest.raises(InputError, match="epochs"):
        plan_of({"epochs": 0})
    with pytest.raises(InputError, match="schedule"):
        plan_of({"schedule": "steps"})


def test_the_rate_rises_and_falls() -> None:
    plan = Plan(schedule="cosine", warmup=0.1)
    rates = [rate_at(plan, step, 100) for step in range(101)]
    assert rates.index(max(rates)) == 10
    assert rates[0] > 0
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
    assert rate_at(plan, 300, 100) == pytest.approx(0.0)
    constant = Plan(schedule="constant", warmup=0.0)
    assert {rate_at(constant, step, 10) for step in range(10)} == {1.0}


def test_one_cycle_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # PyTorch reaches each phase's end one step before its share of the steps is over.
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=201, pct_start=0.205, cycle_momentum=False)
    plan = Plan(schedule="one_cycle", warmup=0.2)
    for step in range(200):
        assert rate_at(plan, step, 200) == pytest.approx(optimiser.param_groups[0]["lr"], abs=0.01)
        optimiser.step()
        theirs.step()
