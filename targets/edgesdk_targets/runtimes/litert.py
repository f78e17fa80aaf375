"""LiteRT: runs `.tflite` on the processor through `ai_edge_litert`, else its old name `tflite_runtime`.

- Each slot has an interpreter of its own: an interpreter's input is one place in its memory, so filling one slot while
  another runs needs two. They share the file's bytes; the packed weights are held once a slot.
- The arrays that `bind` hands out are views made from the tensors' addresses. numpy views taken from the library
  itself would make its next `invoke` refuse, as it fears that its memory could move. With static shapes it does not;
  the addresses are compared after each run all the same.
- Tensors are found by the name they have in the file's signature, else by their own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
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
    """A model loaded by LiteRT; each binding is an interpreter of its own."""

    def __init__(self, load: Load) -> None:
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.streams = load.options.streams
        self._load: Load | None = load
        # Loading the first one now tells a bad file from a good one; `run` or the first binding then takes it.
        self._spare: LiteRtBinding | None = LiteRtBinding(self, load)

    def bind(self, slots: int = 1) -> tuple[LiteRtBinding, ...]:
        return tuple(self._new_binding() for _ in range(slots))

    def _new_binding(self) -> LiteRtBinding:
        if self._load is None:
            raise closed(NAME)
        spare, self._spare = self._spare, None
        return spare or LiteRtBinding(self, self._load)

    @property
    def is_closed(self) -> bool:
        return self._load is None

    def close(self) -> None:
        self._load = self._spare = self._own = None


class LiteRtBinding:
    """An interpreter, and views of its input and output tensors."""

    def __init__(self, owner: LiteRtSession, load: Load) -> None:
        self._owner = owner
        self._interpreter: Any = _new_interpreter(load)
        inputs, outputs = _input_details(self._interpreter), _output_details(self._interpreter)
        self._output_indices = [outputs[spec.name]["index"] for spec in load.variant.outputs]
        self.inputs: Mapping[str, Array] = self._views(
            load.inputs, [inputs[spec.name]["index"] for spec in load.variant.inputs]
        )
        self._outputs = self._views(load.outputs, self._output_indices)

    def run(self) -> Mapping[str, Array]:
        if self._owner.is_closed:
            self._interpreter = None
            raise closed(NAME)
        try:
            self._interpreter.invoke()
        except Exception as error:  # RuntimeError and ValueError, by the kernel that refuses
            raise failed(NAME, "run the model", error) from error
        for index, view in zip(self._output_indices, self._outputs.values(), strict=True):
            if _address(self._interpreter, index) != _address_of(view):
                raise SessionFailed(
                    f"{NAME} moved an output's memory, as it does for shapes that depend on the input.",
                    hint="Convert the model with static shapes.",
                )
        return self._outputs

    def _views(self, specs: tuple[TensorSpec, ...], indices: list[int]) -> dict[str, Array]:
        return {
            spec.name: np.asarray(_TensorMemory(self._interpreter, index))
            for spec, index in zip(specs, indices, strict=True)
        }


class _TensorMemory:
    """The memory of one tensor, as numpy's array interface; it keeps the interpreter alive as long as a view lives."""

    def __init__(self, interpreter: Any, index: int) -> None:
        self._interpreter = interpreter
        self.__array_interface__ = dict(interpreter.tensor(index)().__array_interface__)


def _address(interpreter: Any, index: int) -> int:
    return _address_of(interpreter.tensor(index)())


def _address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _interpreter_class() -> Any:
    package = next((name for name in _PACKAGES if importlib.util.find_spec(name) is not None), None)
    if package is None:
        raise MissingExtra("ai-edge-litert", "litert")
    try:
        return importlib.import_module(f"{package}.interpreter").Interpreter
    except (ImportError, OSError) as error:  # installed, but not for this machine
        raise failed(NAME, f"be loaded from {package}", error) from error


def _new_interpreter(load: Load) -> Any:
    make = _interpreter_class()
    load.options.imported()
    threads = load.options.threads_each or min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    try:
        interpreter = make(model_content=load.files["model"], num_threads=threads)
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
