"""A torch module that runs a fixed list of ONNX nodes: no shape, index or branch in it depends on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgesdk_converters.steps.onnx_ops import OPERATORS, Node


class NodeStep(nn.Module):
    """One node; a module of its own, so that an exporter's error tells by its path which node it met."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    def forward(self, *given: Tensor | None) -> tuple[Tensor, ...]:
        """Return the outputs, those that nobody asked for included."""
        results = OPERATORS[self.node.op](self.node, *given)
        return results if isinstance(results, tuple) else (results,)


class StaticGraph(nn.Module):
    """Run ONNX nodes in their order.

    Args:
        nodes: in an order in which each finds its inputs.
        inputs: names of the inputs, in the order that `forward` takes them.
        outputs: names of the outputs, in the order that `forward` returns them.
        constants: the values known beforehand that nodes take as tensors.
    """

    def __init__(
        self, nodes: Sequence[Node], inputs: Sequence[str], outputs: Sequence[str], constants: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        self.input_names = tuple(inputs)
        self.output_names = tuple(outputs)
        self._steps = nn.ModuleList(NodeStep(node) for node in nodes)
        self._buffer_of: dict[str, str] = {}
        for number, (name, value) in enumerate(constants.items()):
            self._buffer_of[name] = f"constant_{number}"  # names in ONNX may hold dots and slashes
            self.register_buffer(f"constant_{number}", value)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output, or a tuple where there are several."""
        values = dict(zip(self.input_names, inputs, strict=True))
        for name, buffer in self._buffer_of.items():
            values[name] = getattr(self, buffer)
        for node, step in zip(self.nodes, self._steps, strict=True):
            values.update(run_node(node, values, step))
        # a copy where an output is an input or a constant: exporters want a tensor of the graph's own
        own = {name for node in self.nodes for name in node.outputs}
        given = tuple(values[name] if name in own else values[name].clone() for name in self.output_names)
        return given if len(given) > 1 else given[0]


def run_node(node: Node, values: Mapping[str, Tensor], step: nn.Module | None = None) -> dict[str, Tensor]:
    """Return the outputs of one node by name; those that nobody asked for are left out."""
    given = [values[name] if name else None for name in node.inputs]
    results: tuple[torch.Tensor, ...] = (step or NodeStep(node))(*given)
    return {name: result for name, result in zip(node.outputs, results, strict=False) if name}
