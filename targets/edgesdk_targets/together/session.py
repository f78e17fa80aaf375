"""Several classifiers as one session: a cascade, their mean, or their vote.

The input is the first member's own, so that preprocessing writes where its inference reads; a further member gets the same
pixels when it is asked, or has an input of its own, which is prepared beside the first. The output is probabilities. A cascade
asks its second member only where the first is in doubt, which is why its time depends on the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.decode.activation import activate
from edgesdk_targets.runtimes.run_by_binding import RunByBinding
from edgesdk_targets.session import Binding, Load, Session, is_accelerated, open_load, passed_over
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.same_picture import SamePicture
from edgesdk_targets.together.spec import OUTPUT, Together, files_of


def open_together(module: str, load: Load, together: Together) -> TogetherSession:
    """Load all members by one runtime's module; see `RuntimeEntry`.

    Raises:
        MissingExtra, SessionFailed: the runtime does not load one of them, or they do not fit together.
    """
    sessions: list[Session] = []
    try:
        for place in range(len(together.members)):
            # One after the other: what was opened is closed where a later one fails.
            sessions.append(open_load(module, member_load(load, together, place)))  # noqa: PERF401
        return TogetherSession(sessions, together, load.inputs)
    except BaseException:
        for session in sessions:
            session.close()
        raise


def member_load(load: Load, together: Together, place: int) -> Load:
    """Return what the runtime needs to load one member alone."""
    member, variant = together.members[place], load.variant
    alone = Variant(
        id=member.id,
        target=variant.target,
        runtime=variant.runtime,
        precision=member.precision,
        effective_precision=member.effective_precision,
        files=files_of(variant.files, place),
        inputs=member.inputs,
        outputs=member.outputs,
        folded=member.folded,
    )
    return Load(files_of(load.files, place), alone, member.inputs, member.outputs, load.options)


class TogetherSession(RunByBinding):
    """The members' sessions, used as one; it closes them."""

    def __init__(self, sessions: Sequence[Session], together: Together, inputs: tuple[TensorSpec, ...]) -> None:
        self.inputs: tuple[TensorSpec, ...] = inputs
        self.outputs: tuple[TensorSpec, ...] = (TensorSpec(name=OUTPUT, shape=(1, together.classes)),)
        self.streams = min(session.streams for session in sessions)
        self.passed_over = tuple(reason for session in sessions for reason in passed_over(session))
        self.accelerated = any(is_accelerated(session) for session in sessions)
        self._sessions = tuple(sessions)
        self._together = together

    def bind(self, slots: int = 1) -> tuple[TogetherBinding, ...]:
        bound = zip(*(session.bind(slots) for session in self._sessions), strict=True)
        return tuple(TogetherBinding(self._together, bindings, self.inputs[0].name) for bindings in bound)

    def close(self) -> None:
        self._own = None
        for session in self._sessions:
            session.close()


class TogetherBinding:
    """The first member's input, those that others have of their own, and a binding of each."""

    def __init__(self, together: Together, bindings: Sequence[Binding], name: str) -> None:
        self._together = together
        self._bindings = tuple(bindings)
        places = [next(iter(binding.inputs.values())) for binding in bindings]
        self._image = places[0]
        further = list(zip(together.members, places, strict=True))[1:]
        own = {member.picture: place for member, place in further if member.picture is not None}
        self.inputs: Mapping[str, Array] = {name: places[0], **own}
        self._handed = {
            number: (SamePicture(together.members[0], member), place)
            for number, (member, place) in enumerate(further, 1)
            if member.picture is None
        }
        self._answer = np.empty((1, together.classes), np.float32)
        self._outputs = {OUTPUT: self._answer}

    def run(self, *, in_doubt: bool | None = None) -> Mapping[str, Array]:
        """Run; see `Binding`.

        Args:
            in_doubt: of a cascade, whether its second member is asked; None leaves that to the first one's answer. For
                who measures what it costs.
        """
        rule = self._together.rule
        if rule == "cascade":
            self._answer[0] = self._asked(0)
            threshold = self._together.threshold
            # What is no number is no sure answer either.
            sure = threshold is not None and float(self._answer.max()) >= threshold
            if not sure if in_doubt is None else in_doubt:
                self._answer[0] = self._asked(1)
            return self._outputs
        answers = np.stack([self._asked(place) for place in range(len(self._bindings))])
        self._answer[0] = answers.mean(axis=0)
        if rule == "vote":
            votes = np.bincount(answers.argmax(axis=1), minlength=self._together.classes)
            # A share of votes, and below one vote of many the mean: a tie goes to the class that is the more probable.
            self._answer[0] = (votes + self._answer[0] / 2) / (len(answers) + 0.5)
        return self._outputs

    def _asked(self, place: int) -> Array:
        """Ask one member, and return its probabilities (C,) float32."""
        if place in self._handed:
            same, into = self._handed[place]
            same.write(self._image, into)
        output = next(iter(self._bindings[place].run().values()))
        raw = output.reshape(-1).astype(np.float32, copy=False)
        return activate(raw, self._together.members[place].activation)
