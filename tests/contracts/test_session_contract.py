"""Does the contract see what it is there to see? Sessions with one fault each must fail the test for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, check_feeds
from edgesdk_testkit.tiny_models import CNN, MODELS, STREAM, WIDE, TinyModel


class NumpySession:
    """A session in numpy: right, but for the fault that it is given."""

    def __init__(self, load: Load, fault: str) -> None:
        self.inputs, self.outputs = load.inputs, load.outputs
        self.streams = 1 if fault == "one stream" else load.options.streams
        self.fault = fault
        self.model = next(m for m in MODELS.values() if m.inputs == load.inputs and m.outputs == load.outputs)
        self.scratch: dict[str, Array] = {}
        self.shared = NumpyBinding(self)

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        if self.fault != "unchecked":
            check_feeds(self.inputs, feeds)
        answer = self.model.reference(feeds)
        return dict(sorted(answer.items())) if self.fault == "order" else answer

    def bind(self, slots: int = 1) -> tuple[NumpyBinding, ...]:
        return tuple(self.shared if self.fault == "one memory" else NumpyBinding(self) for _ in range(slots))

    def close(self) -> None:
        pass


class NumpyBinding:
    def __init__(self, owner: NumpySession) -> None:
        self._owner = owner
        self._memory = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in owner.inputs}
        apart = owner.fault == "memory apart"
        self.inputs = {name: array.copy() if apart else array for name, array in self._memory.items()}
        self._outputs = {spec.name: spec.empty() for spec in owner.outputs}
        self._kept: list[Array] = []

    def run(self) -> Mapping[str, Array]:
        if self._owner.fault == "copies":
            self._kept = [array.copy() for array in self._memory.values()]
        if self._owner.fault == "shared scratch":
            # The arithmetic gives other threads time to write their own frame there.
            self._owner.scratch = self._memory
            self._owner.run(self._memory)
            feeds = self._owner.scratch
        else:
            feeds = self._memory
        if self._owner.model is not WIDE:
            for name, array in self._owner.run(feeds).items():
                self._outputs[name][...] = array
        if self._owner.fault == "new outputs":
            self._outputs = {name: array.copy() for name, array in self._outputs.items()}
        if self._owner.fault == "spoils inputs":
            self._memory["image"][...] = 0
        return self._outputs


class Faulty(SessionContract):
    __test__ = False
    runtime = Runtime.ONNXRUNTIME

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def open(self, load: Load) -> Session:
        return NumpySession(load, self.fault)

    def with_session(self, rule: Callable[..., None], model: TinyModel) -> None:
        rule(self, self.open(self.load(model)), model)


RULES: dict[str, tuple[Callable[..., None], TinyModel | None]] = {
    "memory apart": (SessionContract.test_what_is_written_is_what_is_inferred, CNN),
    "one memory": (SessionContract.test_slots_are_independent, CNN),
    "order": (SessionContract.test_run_answers_as_numpy_does, STREAM),
    "spoils inputs": (SessionContract.test_inputs_keep_their_content_when_run, CNN),
    "new outputs": (SessionContract.test_outputs_are_the_same_memory_each_run, CNN),
    "copies": (SessionContract.test_a_run_allocates_nothing_of_frame_size, None),
    "one stream": (SessionContract.test_bindings_run_at_the_same_time, CNN),
    "shared scratch": (SessionContract.test_bindings_run_at_the_same_time, CNN),
}


def keep(fault: str, rule: Callable[..., None], model: TinyModel | None) -> None:
    contract = Faulty(fault)
    if model is None:
        rule(contract)
    elif rule is SessionContract.test_bindings_run_at_the_same_time:
        rule(contract, model, 3)
    else:
        contract.with_session(rule, model)


@pytest.mark.parametrize("fault", RULES)
def test_a_fault_is_seen(fault: str) -> None:
    rule, model = RULES[fault]
    with pytest.raises(AssertionError):
        keep(fault, rule, model)


@pytest.mark.parametrize("fault", RULES)
def test_without_it_the_rule_is_kept(fault: str) -> None:
    rule, model = RULES[fault]
    keep("none", rule, model)
