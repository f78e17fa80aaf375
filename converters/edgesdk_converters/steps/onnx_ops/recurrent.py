"""GRU, LSTM and RNN, unrolled over the fixed number of steps: a runtime without recurrent kernels sees plain matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from edgesdk_converters.steps.onnx_ops.node import Node, Operator

_State: TypeAlias = tuple[Tensor, ...]
_Cell: TypeAlias = Callable[[Tensor, _State, Tensor, Tensor], _State]
_DEFAULTS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}


def _gru(before: bool) -> _Cell:
    """Return the GRU's step; `before` is ONNX's linear_before_reset=0, where the reset comes before the matrix."""

    def step(gates: Tensor, state: _State, weight: Tensor, bias: Tensor) -> _State:
        (h,) = state
        size = h.shape[-1]
        if before:
            z, r = torch.sigmoid(gates[..., : 2 * size] + h @ weight[: 2 * size].t() + bias[: 2 * size]).split(size, -1)
            n = torch.tanh(gates[..., 2 * size :] + (r * h) @ weight[2 * size :].t() + bias[2 * size :])
        else:
            pushed = h @ weight.t() + bias
            z, r = torch.sigmoid(gates[..., : 2 * size] + pushed[..., : 2 * size]).split(size, -1)
            n = torch.tanh(gates[..., 2 * size :] + r * pushed[..., 2 * size :])
        return ((1 - z) * n + z * h,)

    return step


def _lstm_step(gates: Tensor, state: _State, weight: Tensor, bias: Tensor) -> _State:
    h, c = state
    i, o, f, g = (gates + h @ weight.t() + bias).split(h.shape[-1], -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _rnn_step(gates: Tensor, state: _State, weight: Tensor, bias: Tensor) -> _State:
    return (torch.tanh(gates + state[0] @ weight.t() + bias),)


def _check(node: Node) -> None:
    directions = 2 if node.text("direction", "forward") == "bidirectional" else 1
    given = node.attributes.get("activations")
    if given is not None:
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in given]  # type: ignore[attr-defined]
        if [name.lower() for name in names] != [name.lower() for name in _DEFAULTS[node.op]] * directions:
            raise node.refuse(f"activations {', '.join(names)}")
    if "clip" in node.attributes or node.integer("input_forget", 0) or node.has(7):
        raise node.refuse("clip, coupled gates or peepholes")


def _recurrent(states: int, cell_of: Callable[[Node], _Cell]) -> Operator:
    def operator(node: Node, x: Tensor, w: Tensor, r: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
        _check(node)
        batch_first = bool(node.integer("layout", 0))
        x = x.transpose(0, 1) if batch_first else x
        _check_lengths(node, x)
        bias = rest[0] if rest and rest[0] is not None else w.new_zeros(w.shape[0], 2 * w.shape[1])
        initial = [rest[2 + k] if len(rest) > 2 + k else None for k in range(states)]
        direction = node.text("direction", "forward")
        runs = [
            _run(
                x,
                (w[d], r[d], bias[d]),
                _start(x, r, initial, d, batch_first),
                cell_of(node),
                direction == "reverse" or d == 1,
            )
            for d in range(w.shape[0])
        ]
        whole = torch.stack([outputs for outputs, _ in runs], 1)  # (time, directions, batch, hidden)
        last = [torch.stack([state[k] for _, state in runs], 0) for k in range(states)]
        if batch_first:
            return (whole.permute(2, 0, 1, 3), *(item.transpose(0, 1) for item in last))
        return (whole, *last)

    return operator


def _check_lengths(node: Node, x: Tensor) -> None:
    lengths = node.known(4, "sequence lengths")
    if lengths is not None and any(int(length) != x.shape[0] for length in lengths):
        raise node.refuse("sequences shorter than the tensor")


def _start(x: Tensor, r: Tensor, initial: Sequence[Tensor | None], direction: int, batch_first: bool) -> _State:
    zeros = x.new_zeros(x.shape[1], r.shape[-1])
    chosen = [None if state is None else state[:, direction] if batch_first else state[direction] for state in initial]
    return tuple(zeros if state is None else state for state in chosen)


def _run(
    x: Tensor, parameters: tuple[Tensor, Tensor, Tensor], state: _State, step: _Cell, reverse: bool
) -> tuple[Tensor, _State]:
    """Run one direction; return every step's output (time, batch, hidden), in the order of time, and the last state."""
    w, r, bias = parameters
    half = bias.shape[0] // 2
    gates = x @ w.t() + bias[:half]  # the input's part of every step, in one product
    order = range(x.shape[0])
    outputs: list[Tensor] = []
    for time in reversed(order) if reverse else order:
        state = step(gates[time], state, r, bias[half:])
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs, 0), state


RECURRENT: dict[str, Operator] = {
    "GRU": _recurrent(1, lambda node: _gru(before=not node.integer("linear_before_reset", 0))),
    "LSTM": _recurrent(2, lambda node: _lstm_step),
    "RNN": _recurrent(1, lambda node: _rnn_step),
}
