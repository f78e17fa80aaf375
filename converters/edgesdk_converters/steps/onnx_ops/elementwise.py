"""Operators that work element by element, and the matrix products."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator

# TensorProto.DataType by number: ONNX says in a Cast only this. Devices have no doubles: they become floats.
TORCH_TYPES: dict[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float32,
    16: torch.bfloat16,
}


def _unary(function: Any) -> Operator:
    def operator(node: Node, x: Tensor) -> Tensor:
        return function(x)  # type: ignore[no-any-return]

    return operator


def _binary(function: Any) -> Operator:
    def operator(node: Node, a: Tensor, b: Tensor) -> Tensor:
        return function(a, b)  # type: ignore[no-any-return]

    return operator


def _variadic(function: Any) -> Operator:
    def operator(node: Node, *items: Tensor) -> Tensor:
        return functools.reduce(function, items)

    return operator


def _cast(node: Node, x: Tensor) -> Tensor:
    number = node.integer("to", 1)
    if number not in TORCH_TYPES:
        raise node.refuse(f"type {number} of ONNX has no counterpart in torch")
    return x.to(TORCH_TYPES[number])


def _cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


def _divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    # whole numbers: towards zero, as C does
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.integer("fmod", 0) else torch.remainder(a, b)


def _power(node: Node, base: Tensor, exponent: Tensor) -> Tensor:
    known = node.constants.get(1)
    if known is not None and known.size == 1:  # a square as x * x, a root as sqrt: kinder to every runtime
        value = float(known.reshape(-1)[0])
        if exponent.dim() <= base.dim() and value in (0.5, 1.0, 2.0):
            return torch.sqrt(base) if value == 0.5 else base if value == 1.0 else base * base
        if exponent.dim() <= base.dim() and base.is_floating_point():
            return torch.pow(base, value)  # as a number where known: converters have other ops for some
    return torch.pow(base, exponent).to(base.dtype)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    if "min" in node.attributes or "max" in node.attributes:  # opset 6
        lowest = node.number("min", float("-inf"))
        highest = node.number("max", float("inf"))
        return torch.clamp(x, lowest, highest)
    # as numbers where known: exporters recognise relu6 and hardtanh by them
    bounds: list[float | Tensor | None] = []
    for index, bound in ((1, low), (2, high)):
        known = node.constants.get(index)
        bounds.append(bound if known is None else known.reshape(-1)[0].item())
    if bounds == [None, None]:
        return x
    if any(isinstance(bound, Tensor) for bound in bounds):
        x = x if low is None else torch.maximum(x, low)
        return x if high is None else torch.minimum(x, high)
    return torch.clamp(x, bounds[0], bounds[1])  # type: ignore[arg-type]


def _mean(node: Node, *items: Tensor) -> Tensor:
    return functools.reduce(torch.add, items) / len(items)


def _where(node: Node, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(condition, yes, no)


def _is_infinite(node: Node, x: Tensor) -> Tensor:
    positive, negative = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    if positive and negative:
        return torch.isinf(x)
    return x == (float("inf") if positive else float("-inf"))


def _dropout(node: Node, x: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    if (node.known(2, "training mode") or [False])[0]:
        raise node.refuse("the graph was exported in training mode", hint="Export it after `model.eval()`.")
    return x, torch.ones_like(x, dtype=torch.bool)  # at inference nothing is dropped


def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.t() if node.integer("transA", 0) else a
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if node.integer("transB", 0) and alpha == beta == 1.0 and (c is None or c.dim() == 1):
        return functional.linear(a, b, c)  # the usual dense layer
    product = a @ (b.t() if node.integer("transB", 0) else b)
    product = product if alpha == 1.0 else alpha * product
    if c is None:
        return product
    return product + (c if beta == 1.0 else beta * c)


def _einsum(node: Node, *items: Tensor) -> Tensor:
    return torch.einsum(node.text("equation", ""), *items)


_UNARY: dict[str, Any] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": functional.hardswish,
    "Identity": lambda x: x,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Mish": functional.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}
_BINARY: dict[str, Any] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Xor": torch.ne,
}

ELEMENTWISE: dict[str, Operator] = {
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: _binary(function) for name, function in _BINARY.items()},
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Div": _divide,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "IsInf": _is_infinite,
    "MatMul": _matmul,
    "Max": _variadic(torch.maximum),
    "Mean": _mean,
    "Min": _variadic(torch.minimum),
    "Mod": _modulo,
    "Pow": _power,
    "Sum": _variadic(torch.add),
    "Where": _where,
}
