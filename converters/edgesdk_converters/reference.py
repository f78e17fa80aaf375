"""The source model, run in float: what every artifact is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgesdk_converters.framework_edge import needs, reason
from edgesdk_converters.source import Source
from edgesdk_converters.steps.live_module import in_eval_mode
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import DTYPES, DYNAMIC, Array, TensorSpec

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

# The usual names of a task's outputs, for torch models, whose outputs have none.
_OUTPUT_NAMES: dict[str, tuple[str, ...]] = {
    "classify": ("logits",),
    "detect": ("boxes", "scores"),
    "text": ("logits",),
    "embed": ("embedding",),
    "regress": ("values",),
}


class Reference(Protocol):
    """A float model with named, specified inputs and outputs."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]: ...


def open_reference(source: Source) -> Reference:
    """Load the source for comparison.

    Raises:
        InputError: the model does not run on the input that its card declares.
    """
    return OnnxReference(source) if source.is_onnx else TorchReference(source)


class TorchReference:
    """The torch model itself, without gradients."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._module = source.load()
        self.inputs = source.declared_inputs()
        zeros = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in self.inputs}
        arrays, names = self._forward(zeros)
        if names:
            # Exporters want a tuple; the names are kept here.
            source.module = _tuple_outputs(self._module)
            self._module = source.module
        names = names or _names_of(len(arrays), source.card)
        if len(set(names)) != len(names) or len(names) != len(arrays):
            raise InputError(
                f"The model gives {len(arrays)} outputs, but their names are {list(names)}.",
                hint="Name them in the card: `outputs: [boxes, scores]`; state outputs too.",
            )
        self.outputs = tuple(spec_of(name, array) for name, array in zip(names, arrays, strict=True))

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return one input tensor for each input, as the exporters want them."""
        import torch

        return tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in self.inputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        arrays, _ = self._forward(feeds)
        return {spec.name: array for spec, array in zip(self.outputs, arrays, strict=True)}

    def _forward(self, feeds: Mapping[str, Array]) -> tuple[list[Array], tuple[str, ...]]:
        import torch

        tensors = [torch.from_numpy(np.ascontiguousarray(feeds[spec.name])) for spec in self.inputs]
        try:
            with in_eval_mode(self._module) as module, torch.no_grad():
                answer = module(*tensors)
        except Exception as error:  # the user's model may raise anything
            shapes = ", ".join(f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in self.inputs)
            raise InputError(
                f"The model does not run on the input of its card ({shapes}): {reason(error)}",
                hint="Correct `input.shape` (and `state`) in the card.",
            ) from error
        names = tuple(answer) if isinstance(answer, Mapping) else ()
        flat = _flatten(answer)
        return [tensor.detach().cpu().numpy() for tensor in flat], names


def named_outputs(answer: Any, card: ModelCard) -> dict[str, torch.Tensor]:
    """Return what a torch model answers by the names that its artifacts give it: the model's own, the card's, or the usual ones.

    Raises:
        InputError: it answers no tensors, or another number of them than the card names.
    """
    tensors = _flatten(answer)
    names = tuple(answer) if isinstance(answer, Mapping) else _names_of(len(tensors), card)
    if len(names) != len(tensors):
        raise InputError(
            f"The model gives {len(tensors)} outputs, but their names are {list(names)}.",
            hint="Name them in the card: `outputs: [boxes, scores]`.",
        )
    return dict(zip(names, tensors, strict=True))


def spec_of(name: str, array: Array, other: Array | None = None) -> TensorSpec:
    """Return what a model's output is.

    Args:
        other: of another picture; sizes in which it differs are open ones.

    Raises:
        InputError: its dtype is none that can be handled.
    """
    dtype = str(array.dtype)
    if dtype not in DTYPES:
        raise InputError(
            f"The model's output {name!r} is {dtype}; {', '.join(DTYPES)} can be handled.",
            hint="Cast it to float32 inside the model.",
        )
    shape = array.shape or (1,)
    if other is not None and other.shape != array.shape:
        shape = tuple(a if a == b else DYNAMIC for a, b in zip(array.shape, other.shape, strict=True))
    shape = tuple(size if size != 0 else DYNAMIC for size in shape)
    return TensorSpec(name=name, shape=shape, dtype=dtype)


def _tuple_outputs(module: torch.nn.Module | ExportedProgram) -> torch.nn.Module:
    """Wrap a module that returns a mapping, so that it returns the values in their order."""
    import torch
    from torch.export import ExportedProgram

    class TupleOutputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module.module() if isinstance(module, ExportedProgram) else module

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(self.inner(*inputs).values())

    return TupleOutputs().eval() if not isinstance(module, ExportedProgram) else TupleOutputs()


class OnnxReference:
    """The `.onnx` as it came, run by ONNX Runtime."""

    def __init__(self, source: Source) -> None:
        with needs("onnxruntime", extra="onnx"):
            import onnxruntime
        self._source = source
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        content = source.content()
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises a class of its own for each status
            raise InputError(
                f"{source.path} is not an ONNX model that ONNX Runtime can load: {reason(error)}",
                hint="Check it with `python -m onnx.checker`, or export it again with a lower opset.",
            ) from error
        declared = {spec.name: spec for spec in source.declared_inputs()}
        self.inputs = tuple(_input_of(node, declared) for node in self._session.get_inputs())
        zeros = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in self.inputs}
        names = [node.name for node in self._session.get_outputs()]
        arrays = self._run(zeros, names)
        # A size that changes with the picture is one that the file leaves open and that differs from a second run's.
        noise = {s.name: np.random.default_rng(1).random(s.shape).astype(s.numpy_dtype) for s in self.inputs}
        again = self._run(noise, names) if _open_sizes(self._session) else arrays
        self.outputs = tuple(
            spec_of(name, array, other) for name, array, other in zip(names, arrays, again, strict=True)
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, self._run(feeds, names), strict=True))

    def _run(self, feeds: Mapping[str, Array], names: list[str]) -> list[Array]:
        try:
            arrays: list[Array] = self._session.run(names, dict(feeds))
        except Exception as error:
            shapes = ", ".join(f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in self.inputs)
            raise InputError(
                f"The model does not run on the input of its card ({shapes}): {reason(error)}",
                hint="Correct `input.shape` in the card.",
            ) from error
        return arrays


def _input_of(node: Any, declared: Mapping[str, TensorSpec]) -> TensorSpec:
    if node.name in declared:
        return declared[node.name]
    if len(declared) == 1 and len(node.shape) == 4:
        # A card written by hand may name the only input as it likes.
        return next(iter(declared.values())).model_copy(update={"name": node.name})
    if all(isinstance(size, int) and size > 0 for size in node.shape):
        return TensorSpec(name=node.name, shape=tuple(node.shape), dtype=_dtype_of(node.type))
    raise InputError(
        f"The model has an input {node.name!r} of open size {node.shape}, which the card does not declare.",
        hint="Export the model with a fixed size, or declare the input under `state` with its shape.",
    )


def _dtype_of(onnx_type: str) -> str:
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)


def _open_sizes(session: Any) -> bool:
    return any(not isinstance(size, int) for node in session.get_outputs() for size in node.shape)


def _names_of(count: int, card: ModelCard) -> tuple[str, ...]:
    if card.outputs:
        return card.outputs
    states = tuple(state.output for state in card.state)
    usual = _OUTPUT_NAMES[card.task]
    own = count - len(states)
    if own <= 0:
        return states
    names = usual if own == len(usual) else tuple(f"output_{i}" for i in range(own))
    return (*names, *states)


def _flatten(answer: Any) -> Sequence[torch.Tensor]:
    import torch

    if isinstance(answer, torch.Tensor):
        return [answer]
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)) and all(isinstance(item, torch.Tensor) for item in answer):
        return list(answer)
    raise InputError(
        f"The model returns {type(answer).__name__}, and not tensors.",
        hint="Let the factory return a module whose forward gives a tensor, a tuple or a dict of tensors.",
    )
