"""What takes part in a training: rounding, a teacher, and what has to be kept."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgesdk.compression.cluster_weights import cluster_weights
from edgesdk.compression.distil import Distillation, distillation
from edgesdk.compression.fold_norms import fold_norms
from edgesdk.compression.holding import Holding
from edgesdk.compression.pass_settings import Distil
from edgesdk.compression.prune_weights import prune_weights
from edgesdk.compression.quantise_aware import Freezing, RoundedInput, RoundedWeight, finish, prepare, rounded
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Answering
from edgesdk.train.batch import Batch
from edgesdk.train.moment import Moment
from edgesdk_targets.errors import InputError
from edgesdk_testkit.nets_to_compress import subject

LAYERS = ["stem", "one.conv1", "head"]


def moment(model: nn.Module, count: int = 8) -> Moment:
    drawn = torch.Generator().manual_seed(1)
    images = torch.randn((count, 3, 16, 16), generator=drawn)
    return Moment(model, Batch(images, torch.arange(count) % 4), epoch=0, step=0)


def test_weights_are_rounded_to_127_steps_of_each_channel_and_back_again_changes_nothing() -> None:
    weight = torch.randn((5, 3, 3, 3), generator=torch.Generator().manual_seed(2))
    once = RoundedWeight(0)(weight)
    steps = once / (weight.abs().amax((1, 2, 3), keepdim=True) / 127)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
    assert (once - weight).abs().max() <= weight.abs().max() / 127 / 2 + 1e-6
    torch.testing.assert_close(RoundedWeight(0)(once), once, rtol=0, atol=1e-7)


def test_rounding_before_folding_is_rounding_after_it() -> None:
    start = subject("residual")
    first, _ = fold_norms(rounded(start, ["stem"]))
    then = rounded(fold_norms(start)[0], ["stem"])
    torch.testing.assert_close(
        first.module.get_parameter("stem.weight"), then.module.get_parameter("stem.weight"), rtol=0, atol=1e-6
    )


def test_what_training_leaves_is_a_plain_model_with_rounded_weights() -> None:
    start = subject("residual")
    module = start.copy()
    prepare(module, LAYERS)
    module.train()
    optimiser = torch.optim.SGD(module.parameters(), 0.05)
    before = module.get_submodule("stem").weight.detach().clone()
    for _ in range(3):
        optimiser.zero_grad()
        functional.cross_entropy(module(moment(module).images), torch.arange(8) % 4).backward()
        optimiser.step()
    made, ranges = finish(module.eval(), start, LAYERS)
    weight = made.module.get_parameter("stem.weight")
    assert not torch.equal(weight, RoundedWeight(0)(before)), "rounding let no gradient through"
    torch.testing.assert_close(RoundedWeight(0)(weight), weight, rtol=0, atol=1e-7)
    assert made.module.state_dict().keys() == start.module.state_dict().keys()
    assert not any(part._forward_pre_hooks for part in made.module.modules())
    assert ranges["stem"][0] < 0 < ranges["stem"][1]


def test_ranges_follow_and_stand_still_once_frozen() -> None:
    layer = RoundedInput(momentum=0.5).train()
    layer(torch.tensor([-1.0, 1.0]))
    layer(torch.tensor([-3.0, 3.0]))
    assert (float(layer.low), float(layer.high)) == (-2.0, 2.0)
    net = nn.Sequential(layer, nn.BatchNorm1d(2))
    freezing = Freezing(after=1)
    freezing.before_epoch(net, 0)
    assert not layer.frozen
    assert net[1].training
    freezing.before_epoch(net, 1)
    layer(torch.tensor([-9.0, 9.0]))
    assert float(layer.high) == 2.0
    assert not net[1].training
    given = torch.linspace(-3, 3, 50)
    out = layer(given)
    assert len(torch.unique(out)) <= 256
    assert (out.abs() <= 2.0 + 4 / 255).all()
    assert 0.0 in layer(torch.zeros(1))


def test_a_teacher_that_is_the_student_has_nothing_to_say() -> None:
    start = subject("residual")
    both = Distillation(start, start, features={"one.conv2": "one.conv2"})
    student = both.student(start.copy())
    now = moment(student.eval())
    assert both.answers(now).item() == pytest.approx(0, abs=1e-6)
    assert both.likeness(now).item() == pytest.approx(0, abs=1e-10)


def test_the_terms_are_those_of_the_papers_and_their_gradients_reach_the_student() -> None:
    teacher, start = subject("residual", width=16), subject("residual")
    both = Distillation(teacher, start, temperature=3.0, features={"one.conv2": "one.conv2"})
    student = both.student(start.copy())
    now = moment(student.train())
    answers, likeness = both.answers(now), both.likeness(now)
    soft = functional.softmax(teacher.module(now.images) / 3, -1)
    expected = 9 * (soft * (soft.log() - functional.log_softmax(now.answer / 3, -1))).sum(-1).mean()
    assert answers.item() == pytest.approx(expected.item(), rel=1e-4)
    (answers + likeness).backward()  # type: ignore[no-untyped-call]
    reached = {
        name for name, value in student.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0
    }
    assert {"model.stem.weight", "connections.0.weight"} <= reached
    assert all(value.grad is None for value in teacher.module.parameters())


def test_probabilities_teach_as_their_logits_do_and_classes_at_once_each_by_itself() -> None:
    teacher, start = subject("residual", width=16), subject("residual")
    now = moment(start.copy().eval())
    expected = Distillation(teacher, start).answers(now).item()

    class Probabilities(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = teacher.copy()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.inner(x), -1)

    gives = Subject(Probabilities().eval(), teacher.example)
    found = Distillation(gives, start, activations=("none", "softmax")).answers(now).item()
    assert found == pytest.approx(expected, rel=1e-3)
    both = ("sigmoid", "sigmoid")
    assert Distillation(start, start, activations=both).answers(now).item() == pytest.approx(0, abs=1e-6)
    one, two = teacher.module(now.images).div(4).sigmoid(), now.answer.div(4).sigmoid()
    apart = one * (one / two).log() + (1 - one) * ((1 - one) / (1 - two)).log()
    each = Distillation(teacher, start, activations=both).answers(now).item()
    assert each == pytest.approx(16 * apart.mean().item(), rel=1e-3)


@pytest.mark.parametrize(
    ("teacher", "student", "named"),
    [(None, None, "probabilities of classes"), ("sigmoid", "softmax", "by sigmoid, the model's by softmax")],
    ids=["boxes", "another activation"],
)
def test_answers_that_cannot_be_compared_are_refused(teacher: Any, student: Any, named: str) -> None:
    start = subject("residual")
    asked = Distil.model_validate({"pass": "distil"})
    with pytest.raises(InputError, match=named):
        distillation(asked, Answering(start, teacher), Answering(start, student))
    features = Distil.model_validate({"pass": "distil", "weight": 0, "features": {"one": "one"}})
    distillation(features, Answering(start, teacher), Answering(start, student))


def test_a_teacher_with_other_classes_is_refused() -> None:
    start, more = subject("residual"), subject("residual", classes=5)
    asked = Distil.model_validate({"pass": "distil"})
    with pytest.raises(InputError, match=r"\(1, 4\), and the teacher \(1, 5\)"):
        distillation(asked, Answering(more, "softmax"), Answering(start, "softmax"))


def test_features_that_cannot_be_compared_are_refused() -> None:
    start = subject("residual")
    with pytest.raises(InputError, match="cannot be compared"):
        Distillation(start, start, features={"one.conv2": "two.conv2"})


def test_zeros_and_clusters_survive_a_step() -> None:
    made, _ = prune_weights(subject("residual"), ["one.conv1"], amount=0.5)
    made, _ = cluster_weights(made, ["two.conv1"], 8)
    module = made.copy()
    holding = Holding(made, module)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(4)))
    holding.after_step(module, 0)
    before, after = made.module.get_parameter("one.conv1.weight"), module.get_parameter("one.conv1.weight")
    assert torch.equal(before == 0, after == 0)
    old, new = made.module.get_parameter("two.conv1.weight"), module.get_parameter("two.conv1.weight")
    assert len(torch.unique(new)) <= 8
    assert not torch.equal(old, new)
    assert math.isclose(len(torch.unique(module.get_parameter("two.conv2.weight"))), 16 * 16 * 9, rel_tol=0.01)


def test_nothing_is_held_of_a_layer_without_a_mark() -> None:
    plain: Any = SimpleNamespace(held=())
    module = subject("residual").copy()
    before = module.get_parameter("stem.weight").detach().clone()
    Holding(plain, module).after_step(module, 0)
    assert torch.equal(module.get_parameter("stem.weight"), before)
