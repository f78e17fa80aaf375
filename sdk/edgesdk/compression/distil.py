"""Knowledge distillation: a small model learns what a large one answers, beside what is true.

Answers (Hinton et al., 2015): the divergence of both models' probabilities, softened by a temperature, times its square so that its
gradients stay as large; of several classes at once (sigmoid) that of each. Features (Romero et al., FitNets, 2015): the squared
distance of what named layers give, where the student's has other channels after a learnt 1 x 1 connection, each scaled by the
teacher's spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesdk.compression.holding import holding_hooks
from edgesdk.compression.layers import layer_named
from edgesdk.compression.pass_settings import Distil
from edgesdk.compression.subject import Subject, flat
from edgesdk.compression.workbench import Answering, PassDone, Workbench
from edgesdk.train.losses import as_logits
from edgesdk.train.moment import Moment, Term
from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.errors import InputError


class Student(nn.Module):
    """A model in training, with what connects its features to the teacher's; answers as the model does.

    Args:
        model: the student.
        connections: from the name of a student's layer to the channels of both, (own, teacher's).
    """

    def __init__(self, model: nn.Module, connections: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        self.model = model
        self.connections = nn.ModuleList(
            nn.Identity() if own == other else _Connection(own, other) for own, other in connections.values()
        )
        self.features = Features(model, list(connections))

    def forward(self, *inputs: Tensor) -> Any:
        return self.model(*inputs)


class _Connection(nn.Module):
    """A learnt map of channels, the same at each place."""

    def __init__(self, own: int, other: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(other, own))
        # Always the same, so that a training that was stopped is known again.
        nn.init.kaiming_uniform_(self.weight, a=5**0.5, generator=torch.Generator().manual_seed(0))

    def forward(self, given: Tensor) -> Tensor:
        return torch.einsum("oc,bc...->bo...", self.weight, given)


class Features:
    """Sees what named layers of a model gave last; not a module, so that it is no part of what is saved."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        self.seen: dict[str, Tensor] = {}
        for name in names:
            layer_named(model, name).register_forward_hook(self._see(name))

    def _see(self, name: str) -> Any:
        def see(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            self.seen[name] = flat(output)[0]

        return see


class Distillation:
    """The terms that a teacher adds to a training.

    Args:
        teacher: not changed; asked in evaluation mode.
        features: from the student's layers to the teacher's.
        temperature: by which both models' logits are divided.
        activations: what makes probabilities of the teacher's answers, and of the student's.
    """

    def __init__(
        self,
        teacher: Subject,
        student: Subject,
        *,
        temperature: float = 4.0,
        features: Mapping[str, str] | None = None,
        activations: tuple[Activation | None, Activation | None] = ("softmax", "softmax"),
    ) -> None:
        self._teacher = teacher.copy().requires_grad_(False)
        self._temperature = temperature
        self._activations = activations
        self._pairs = dict(features or {})
        self._seen = Features(self._teacher, list(self._pairs.values()))
        self._asked: tuple[Tensor, Tensor] | None = None
        self._channels = self._connected(teacher, student)

    def student(self, module: nn.Module) -> Student:
        """Return a model ready to be trained with these terms."""
        return Student(module, self._channels)

    def answers(self, moment: Moment) -> Tensor:
        """Return how far the student's probabilities are from the teacher's, times the temperature squared."""
        heat = self._temperature
        expected, given = (
            as_logits(answer, activation).flatten(0, -2) / heat
            for answer, activation in zip((self._ask(moment.images), moment.answer), self._activations, strict=True)
        )
        if self._activations[1] == "sigmoid":
            soft = expected.sigmoid()
            score = functional.binary_cross_entropy_with_logits
            return (score(given, soft) - score(expected, soft)) * heat * heat
        divergence = functional.kl_div(
            functional.log_softmax(given, -1),
            functional.log_softmax(expected, -1),
            reduction="batchmean",
            log_target=True,
        )
        return divergence * heat * heat

    def likeness(self, moment: Moment) -> Tensor:
        """Return how far the student's features are from the teacher's, the mean over the pairs."""
        student = moment.model
        assert isinstance(student, Student)  # noqa: S101  (made by `student`)
        self._ask(moment.images)
        _ = moment.outputs  # asks the student
        parts = []
        for connection, (own, other) in zip(student.connections, self._pairs.items(), strict=True):
            expected = self._seen.seen[other]
            parts.append(
                functional.mse_loss(connection(student.features.seen[own]), expected) / expected.var().clamp_min(1e-6)
            )
        return torch.stack(parts).mean()

    @torch.no_grad()
    def _ask(self, images: Tensor) -> Tensor:
        """Return the teacher's answer; the same pictures are asked about once."""
        if self._asked is None or self._asked[0] is not images:
            self._teacher.to(images.device).eval()
            self._asked = (images, flat(self._teacher(images))[0])
        return self._asked[1]

    def _connected(self, teacher: Subject, student: Subject) -> dict[str, tuple[int, int]]:
        """Return the channels of each pair, found by running both once."""
        if not self._pairs:
            return {}
        own = Features(probe := student.copy(), list(self._pairs))
        with torch.no_grad():
            probe(*student.example)
            self._teacher(*teacher.example)
        channels = {}
        for mine, other in self._pairs.items():
            one, two = own.seen[mine].shape, self._seen.seen[other].shape
            if len(one) < 2 or one[2:] != two[2:]:
                raise InputError(
                    f"The features of {mine} {tuple(one)} and the teacher's {other} {tuple(two)} cannot be compared.",
                    hint="Pair layers that give maps of the same size.",
                )
            channels[mine] = (one[1], two[1])
        return channels


def distillation(settings: Distil, teacher: Answering, student: Answering) -> Distillation:
    """Return the terms that the settings ask for.

    Raises:
        InputError: the answers or features of both cannot be compared.
    """
    if settings.weight:
        _check_answers(teacher, student)
    return Distillation(
        teacher.subject,
        student.subject,
        temperature=settings.temperature,
        features=settings.features,
        activations=(teacher.activation, student.activation),
    )


def _check_answers(teacher: Answering, student: Answering) -> None:
    hint = "Give `distil` the setting `weight: 0`, and pairs of layers in `features`."
    if teacher.activation is None or student.activation is None:
        raise InputError(
            "Answers can be learnt from a teacher only where they are probabilities of classes.", hint=hint
        )
    if (teacher.activation == "sigmoid") != (student.activation == "sigmoid"):
        raise InputError(
            f"The teacher's answers become probabilities by {teacher.activation}, the model's by {student.activation}.",
            hint=hint,
        )
    own, other = (tuple(one.subject.run()[0].shape) for one in (student, teacher))
    if own != other:
        raise InputError(f"The model answers {own}, and the teacher {other}.", hint=hint)


def distil_pass(settings: Distil, subject: Subject, bench: Workbench) -> PassDone:
    """Train the model with a teacher's answers beside what is true."""
    student_answers = Answering(subject, bench.teacher(None).activation)
    both = distillation(settings, bench.teacher(settings.teacher), student_answers)
    terms: dict[str, Term] = {}
    if settings.weight:
        terms["answers"] = lambda moment: settings.weight * both.answers(moment)
    if settings.features:
        terms["features"] = lambda moment: settings.feature_weight * both.likeness(moment)
    module = subject.copy()
    student = both.student(module)
    assert bench.plan is not None  # noqa: S101  (a pass that learns has one)
    training = bench.train(student, bench.plan, bench.folder, terms=terms, hooks=holding_hooks(subject, module))
    # Into a fresh copy: the trained one has the hooks of its features.
    plain = subject.copy()
    plain.load_state_dict(module.state_dict())
    record = {"teacher": settings.teacher or "the model before all passes", "temperature": settings.temperature}
    return PassDone(subject.retrained(plain), record, training)
