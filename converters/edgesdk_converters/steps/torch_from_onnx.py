"""ONNX → torch, with everything static: the way from other people's `.onnx` to LiteRT.

Rule: the graph is walked once, node by node. A shape is a constant; a node fed by constants alone is computed here; what
remains is run once on zeros (so that the shapes behind it are known) and kept. A node whose shape, index or branch still
depends on data after that is refused by name. Batch and size are those of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge, needs, reason
from edgesdk_converters.steps.node_reading import attributes_of, constant_value, mentioned, owned
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_converters.steps.plain_onnx import WITHOUT_OPERATOR, plain_onnx, unknown_ops
from edgesdk_targets.errors import EdgeError, StepFailed

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

    from edgesdk_converters.steps.onnx_ops import Node
    from edgesdk_converters.steps.static_graph import StaticGraph

_HINT = "Keep ONNX Runtime or OpenVINO for this model, or convert it from torch."
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
_WHY = {
    "NonMaxSuppression": "Export the model without NMS; edgesdk does it after the graph.",
    "NonZero": "Export the model without post-processing; edgesdk does it after the graph.",
    "RoiAlign": "Two-stage detectors keep ONNX Runtime or OpenVINO.",
    "QuantizeLinear": "Give the float model: edgesdk quantises it for each target.",
    "DequantizeLinear": "Give the float model: edgesdk quantises it for each target.",
}


def torch_from_onnx(content: bytes) -> tuple[StaticGraph, tuple[Tensor, ...]]:
    """Turn an ONNX model into a torch module that exporters can follow.

    Args:
        content: an ONNX file's bytes; every input has a fixed shape.

    Returns:
        The module, whose `input_names` and `output_names` are the file's, and zeros for each of its inputs.

    Raises:
        InputError: it is no ONNX model, or a shape is not fixed.
        StepFailed: an operator is unknown, or works on shapes that depend on data; the message names op and node.
        MissingExtra: torch or onnx is not installed.
    """
    with framework_edge("torch_from_onnx", hint=_HINT):
        with needs("torch", extra="torch"):
            import torch

        from edgesdk_converters.steps.static_graph import StaticGraph

        model = plain_onnx(parse_onnx(content))
        shapes = input_shapes(model)
        example = tuple(
            torch.zeros(shapes[value.name], dtype=_torch_type(value.type.tensor_type.elem_type, value.name))
            for value in model.graph.input
        )
        walk = _Walk(model, example)
        nodes = _live(walk.nodes, walk.outputs)
        used = {name for node in nodes for name in node.inputs} | set(walk.outputs)
        constants = {name: torch.from_numpy(array) for name, array in walk.constants.items() if name in used}
        module = StaticGraph(nodes, list(shapes), walk.outputs, constants)
        return module.eval(), example


def _torch_type(number: int, name: str) -> Any:
    from edgesdk_converters.steps.onnx_ops.elementwise import TORCH_TYPES

    if number not in TORCH_TYPES:
        raise StepFailed(f"torch_from_onnx: the input {name!r} has type {number}, which torch lacks.", hint=_HINT)
    return TORCH_TYPES[number]


def _live(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """Return the nodes that some output needs, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


class _Walk:
    """One pass over the graph: computes what is constant, runs the rest on the example, keeps its nodes."""

    def __init__(self, model: onnx.ModelProto, example: Sequence[Tensor]) -> None:
        graph = model.graph
        self.nodes: list[Node] = []
        self.outputs = [value.name for value in graph.output]
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self._values: dict[str, Tensor] = dict(zip((v.name for v in graph.input), example, strict=True))
        self._read = {name for proto in graph.node for name in mentioned(proto)}.union(self.outputs)
        self._unknown = unknown_ops(model)
        self._graph(graph)

    @staticmethod
    def _known_ops() -> set[str]:
        from edgesdk_converters.steps.onnx_ops import OPERATORS

        return {*OPERATORS, *WITHOUT_OPERATOR}

    def _graph(self, graph: onnx.GraphProto) -> None:
        from onnx import numpy_helper

        for weight in graph.initializer:
            self.constants[weight.name] = owned(numpy_helper.to_array(weight))
        last_use = {name: index for index, proto in enumerate(graph.node) for name in mentioned(proto)}
        kept = {value.name for value in graph.output}
        for index, proto in enumerate(graph.node):
            self._visit(proto)
            for name in mentioned(proto):  # the example's activations are not all in memory at once
                if last_use[name] == index and name not in kept:
                    self._values.pop(name, None)

    def _visit(self, proto: onnx.NodeProto) -> None:
        node = self._node(proto)
        constant = all(name in self.constants for name in node.inputs if name) and node.op not in _RANDOM
        if node.op == "Constant":
            self.constants[node.outputs[0]] = owned(constant_value(node))
        elif node.op in ("Shape", "Size"):
            self.constants[node.outputs[0]] = self._shape(node)
        elif node.op == "If":
            self._branch(proto, node)
        elif constant:
            self._fold(proto, node)
        elif node.op not in self._known_ops() or proto.domain not in ("", "ai.onnx"):
            raise self._unsupported(proto, node)
        else:
            self._run(node)

    def _node(self, proto: onnx.NodeProto) -> Node:
        from edgesdk_converters.steps.onnx_ops import Node

        return Node(
            op=proto.op_type,
            name=proto.name or "for " + next((name for name in proto.output if name), "nothing"),
            inputs=tuple(proto.input),
            outputs=tuple(name if name in self._read else "" for name in proto.output),
            attributes=attributes_of(proto),
            constants={index: self.constants[name] for index, name in enumerate(proto.input) if name in self.constants},
        )

    def _shape(self, node: Node) -> npt.NDArray[Any]:
        name = node.inputs[0]
        shape = self.constants[name].shape if name in self.constants else tuple(self._values[name].shape)
        if node.op == "Size":
            return np.array(int(np.prod(shape, dtype=np.int64)), np.int64)
        end = node.integer("end", len(shape))
        return np.array(shape[node.integer("start", 0) : end], np.int64)

    def _branch(self, proto: onnx.NodeProto, node: Node) -> None:
        """Take the branch that is known beforehand (exporters write `If` where a shape decides)."""
        chosen = bool(node.array(0, "condition").reshape(-1)[0])
        branch = next(a.g for a in proto.attribute if a.name == ("then_branch" if chosen else "else_branch"))
        self._graph(branch)
        from edgesdk_converters.steps.onnx_ops import Node

        for inner, outer in zip((value.name for value in branch.output), node.outputs, strict=True):
            if inner in self.constants:
                self.constants[outer] = self.constants[inner]
            else:
                self._run(Node("Identity", f"{node.name}.{outer}", (inner,), (outer,)))

    def _fold(self, proto: onnx.NodeProto, node: Node) -> None:
        """Compute a node whose inputs are all known, by the operator here or by ONNX's own reference."""
        from onnx.reference import ReferenceEvaluator

        if node.op in self._known_ops():
            results = self._compute(node, {name: self.constants[name] for name in node.inputs if name})
            self.constants.update(results)
            return
        try:
            evaluator = ReferenceEvaluator(proto)
            given = evaluator.run(None, {name: self.constants[name] for name in node.inputs if name})
        except Exception as error:  # the reference raises anything for what it does not know
            raise self._unsupported(proto, node) from error
        if not isinstance(given, list) or not all(isinstance(item, np.ndarray | np.generic) for item in given):
            raise self._unsupported(proto, node)  # a list of tensors
        self.constants.update({name: owned(item) for name, item in zip(proto.output, given, strict=False) if name})

    def _compute(self, node: Node, arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        import torch

        values = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {name: owned(value.numpy()) for name, value in self._tensors(node, values).items()}

    def _run(self, node: Node) -> None:
        import torch

        values = {}
        for name in node.inputs:
            if name in self._values:
                values[name] = self._values[name]
            elif name:
                values[name] = torch.from_numpy(self.constants[name])
        self._values.update(self._tensors(node, values))
        self.nodes.append(node)

    def _tensors(self, node: Node, values: dict[str, Tensor]) -> dict[str, Tensor]:
        import torch

        from edgesdk_converters.steps.static_graph import run_node

        try:
            with torch.no_grad():
                return run_node(node, values)
        except EdgeError:
            raise
        except Exception as error:  # torch refused the operation in its own words: say which node it was
            raise node.refuse(reason(error)) from error

    def _unsupported(self, proto: onnx.NodeProto, node: Node) -> StepFailed:
        op = f"{proto.domain}.{node.op}" if proto.domain else node.op
        others = [other for other in self._unknown if other != node.op]
        also = f"; the graph also has {', '.join(others)}" if others else ""
        return StepFailed(
            f"torch_from_onnx: the op {op} (node {node.name!r}) cannot be converted to torch{also}.",
            hint=_WHY.get(node.op, _HINT),
        )
