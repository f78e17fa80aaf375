"""LiteRT: runs `.tflite` on the processor through `ai_edge_litert`, else its old name `tflite_runtime`.

- There are as many interpreters as streams, and any number of slots takes turns with them, whichever ran last first. An
  interpreter of its own for each slot would spare two copies a picture, and cost more than they do: every slot's packed
  weights and tensors would have to come into the cache again (docs/decisions/0015).
- One slot more than there are interpreters waits for one of them, so that no more threads compute than were asked for.
- Tensors are found by the name they have in the file's signature, else by their own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any

import numpy as np

from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.runtimes.agreement import Found, check_agreement, closed, refuse_dynamic
from edgesdk_targets.runtimes.run_by_binding import RunByBinding
from edgesdk_targets.session import Load, Session, failed
from edgesdk_targets.tensor import Array, TensorSpec

NAME = "LiteRT"
# Left to itself the library takes one thread; more than four do not pay for one picture.
_MOST_THREADS = 4
_PACKAGES = ("ai_edge_litert", "tflite_runtime")


def open_session(load: Load) -> Session:
    """Load the variant's `.tflite`.

    Raises:
        MissingExtra: neither `ai_edge_litert` nor `tflite_runtime` is installed.
        SessionFailed: LiteRT refuses the file, or it differs from the manifest.
    """
    refuse_dynamic(NAME, load.outputs)
    return LiteRtSession(load)


class LiteRtSession(RunByBinding):
    """A model loaded by LiteRT.

    Attributes:
        on_caller: with one thread each, the one that calls does the work itself.
    """

    def __init__(self, load: Load) -> None:
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.streams = load.options.streams
        self.on_caller = _threads(load) == 1
        self._load: Load | None = load
        # Loading the first one now tells a bad file from a good one; None says that the session is closed.
        self._idle: LifoQueue[_Interpreter | None] = LifoQueue()
        self._idle.put(_Interpreter(load))
        self._opened, self._bound = 1, 0

    def bind(self, slots: int = 1) -> tuple[LiteRtBinding, ...]:
        if self._load is None:
            raise closed(NAME)
        self._bound += slots
        while self._opened < min(self._bound, self.streams):
            self._idle.put(_Interpreter(self._load))
            self._opened += 1
        return tuple(LiteRtBinding(self) for _ in range(slots))

    def infer(self, inputs: Iterable[Array], outputs: Iterable[Array]) -> None:
        """Run on these arrays, in the manifest's order, as soon as an interpreter is free."""
        interpreter = self._idle.get()
        if interpreter is None or self._load is None:
            # Whoever else waits is to hear it too.
            self._idle.put(None)
            raise closed(NAME)
        try:
            interpreter.run(inputs, outputs)
        finally:
            self._idle.put(interpreter if self._load is not None else None)

    def close(self) -> None:
        self._load = self._own = None
        with suppress(Empty):
            while True:
                self._idle.get_nowait()
        self._idle.put(None)


class LiteRtBinding:
    """Inputs and outputs in numpy's memory, for whichever interpreter is free."""

    def __init__(self, owner: LiteRtSession) -> None:
        self._owner = owner
        self.inputs: Mapping[str, Array] = {spec.name: spec.empty() for spec in owner.inputs}
        self._outputs = {spec.name: spec.empty() for spec in owner.outputs}

    def run(self) -> Mapping[str, Array]:
        self._owner.infer(self.inputs.values(), self._outputs.values())
        return self._outputs


class _Interpreter:
    """The library's interpreter, and where its inputs and outputs are."""

    def __init__(self, load: Load) -> None:
        self._library: Any = _new_interpreter(load)
        inputs, outputs = _input_details(self._library), _output_details(self._library)
        self._inputs = [int(inputs[spec.name]["index"]) for spec in load.variant.inputs]
        self._outputs = [int(outputs[spec.name]["index"]) for spec in load.variant.outputs]

    def run(self, inputs: Iterable[Array], outputs: Iterable[Array]) -> None:
        # A view of the library's memory must not outlive its line: `invoke` refuses while there is one.
        for index, array in zip(self._inputs, inputs, strict=True):
            np.copyto(self._library.tensor(index)(), array)
        try:
            self._library.invoke()
        except Exception as error:  # RuntimeError and ValueError, by the kernel that refuses
            raise failed(NAME, "run the model", error) from error
        for index, array in zip(self._outputs, outputs, strict=True):
            if self._library.tensor(index)().shape != array.shape:
                raise SessionFailed(
                    f"{NAME} gave an output of another size, as it does for shapes that depend on the input.",
                    hint="Convert the model with static shapes.",
                )
            np.copyto(array, self._library.tensor(index)())


def _interpreter_class() -> Any:
    package = next((name for name in _PACKAGES if importlib.util.find_spec(name) is not None), None)
    if package is None:
        raise MissingExtra("ai-edge-litert", "litert")
    try:
        return importlib.import_module(f"{package}.interpreter").Interpreter
    except (ImportError, OSError) as error:  # installed, but not for this machine
        raise failed(NAME, f"be loaded from {package}", error) from error


def _threads(load: Load) -> int:
    return load.options.threads_each or min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def _new_interpreter(load: Load) -> Any:
    make = _interpreter_class()
    load.options.imported()
    try:
        interpreter = make(model_content=load.files["model"], num_threads=_threads(load))
        _fix_open_shapes(interpreter, load.variant.inputs)
        interpreter.allocate_tensors()
    except SystemError as error:
        raise SessionFailed(
            f"{make.__module__.split('.')[0]} does not work with numpy {np.__version__}.",
            hint="tflite-runtime needs `numpy<2`; where ai-edge-litert has a wheel, install that instead.",
        ) from error
    except Exception as error:  # ValueError and RuntimeError, by the stage that refuses
        raise failed(NAME, "load the model", error) from error
    check_agreement(NAME, "input", load.variant.inputs, _found(_input_details(interpreter)))
    check_agreement(NAME, "output", load.variant.outputs, _found(_output_details(interpreter)))
    return interpreter


def _fix_open_shapes(interpreter: Any, specs: tuple[TensorSpec, ...]) -> None:
    """Set the dimensions that the file leaves open (-1) to the manifest's."""
    details = _input_details(interpreter)
    for spec in specs:
        detail = details.get(spec.name)
        if detail is not None and -1 in detail.get("shape_signature", ()):
            interpreter.resize_tensor_input(detail["index"], list(spec.shape), strict=True)


def _input_details(interpreter: Any) -> dict[str, dict[str, Any]]:
    """Describe the inputs by their names in the file's signature, where it has one, and by the tensors' own."""
    details = {detail["name"]: detail for detail in interpreter.get_input_details()}
    return details | (_runner(interpreter).get_input_details() if _has_signature(interpreter) else {})


def _output_details(interpreter: Any) -> dict[str, dict[str, Any]]:
    details = {detail["name"]: detail for detail in interpreter.get_output_details()}
    return details | (_runner(interpreter).get_output_details() if _has_signature(interpreter) else {})


def _has_signature(interpreter: Any) -> bool:
    return len(interpreter.get_signature_list()) == 1


def _runner(interpreter: Any) -> Any:
    """Return the signature's runner; not to be kept, for the library does not invoke while it is held."""
    return interpreter.get_signature_runner()


def _found(details: Mapping[str, Mapping[str, Any]]) -> dict[str, Found]:
    return {
        name: Found(tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"]).name)
        for name, detail in details.items()
    }
