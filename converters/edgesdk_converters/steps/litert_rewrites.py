"""Ops that litert-torch lowers wrongly, slowly or not at all, said in ops that it lowers right.

They compute the same, but for the last bits of a broken power that is no root.

Each was seen to fail (litert-torch 0.10, litert-converter 0.5): a power with a number in five dimensions is not lowered (the
square in YOLOv5's head); nearest and linear resizing by a factor that is not the ratio of the two sizes looks at other
pixels, silently; a transposed convolution with padding or groups is lowered only in a few kinds. Between convolutions,
where litert-torch moves the channels to the end, it forgets to do so for `repeat` and, silently, for `einsum`. A sort, and
the largest values without their places, become an op that no LiteRT interpreter has. Every second channel (ShuffleNet)
becomes a slice that takes as long as the convolutions around it, and a broken power is left to LiteRT's own kernel, which parts
the graph for XNNPACK.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.sampling import blend, linear_weights, positions


def avoid_traps(program: ExportedProgram) -> ExportedProgram:
    """Return the program with the ops above replaced; the same one where it has none."""
    module = program.module()
    found = [node for node in module.graph.nodes if node.op == "call_function" and node.target in _REWRITES]
    if not found:
        return program
    for node in found:
        node.target = _REWRITES[node.target]  # a function, which the export follows inside
    _name_constants(program, module)
    module.recompile()
    example: tuple[Tensor, ...] = program.example_inputs[0]
    return torch.export.export(module, example, strict=False)


def _name_constants(program: ExportedProgram, module: torch.fx.GraphModule) -> None:
    """Give the program's constants names that the next export, which counts from nought again, does not give."""
    names = {old: f"kept_{number}" for number, old in enumerate(program.constants)}
    for old, new in names.items():
        if isinstance(program.constants[old], Tensor):
            module.register_buffer(new, program.constants[old])
    for node in module.graph.nodes:
        if node.op == "get_attr" and isinstance(program.constants.get(node.target), Tensor):
            node.target = names[node.target]


def _power(x: Tensor, exponent: float) -> Tensor:
    if exponent in (2, 3):
        return x * x if exponent == 2 else x * x * x
    if abs(exponent) == 0.5:
        return torch.sqrt(x) if exponent > 0 else torch.rsqrt(x)
    if not float(exponent).is_integer():  # of numbers below nought not a number, this way and that
        return torch.exp(torch.log(x) * exponent)
    return torch.pow(x.reshape(-1), exponent).reshape(x.shape) if x.dim() > 4 else torch.pow(x, exponent)


def _square(x: Tensor) -> Tensor:
    return x * x


def _target(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> tuple[list[int], list[float]]:
    """Return the height and width wanted, and the factors by which torch finds the pixels."""
    given = list(x.shape[2:])
    if size is not None:
        wanted = [int(length) for length in size]
        return wanted, [want / have for want, have in zip(wanted, given, strict=True)]
    factors = [float(scale) for scale in scales or ()]
    return [int(have * factor) for have, factor in zip(given, factors, strict=True)], factors


def _nearest(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> Tensor:
    wanted, factors = _target(x, size, scales)
    if all(factor.is_integer() for factor in factors):
        return functional.interpolate(x, size=wanted, mode="nearest")
    for axis, (want, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        last = x.shape[axis] - 1
        # as torch counts: by the two sizes where they are given, else by the factor
        step = x.shape[axis] / want if size is not None else 1.0 / factor
        x = torch.index_select(x, axis, torch.tensor([min(int(place * step), last) for place in range(want)]))
    return x


def _bilinear(x: Tensor, size: Sequence[int] | None, aligned: bool, scales: Sequence[float] | None) -> Tensor:
    wanted, factors = _target(x, size, scales)
    ratios = [want / have for want, have in zip(wanted, x.shape[2:], strict=True)]
    if aligned or factors == ratios:
        return functional.interpolate(x, size=wanted, mode="bilinear", align_corners=aligned)
    for axis, (want, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        places = positions(x.shape[axis], want, factor, "half_pixel")
        x = blend(x, axis, linear_weights(places, x.shape[axis]))
    return x


def _transposed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Tensor:
    cut, extra = list(padding), list(output_padding)
    plain = not any(cut) and not any(extra) and groups == 1
    beyond = any(more > less for more, less in zip(extra, cut, strict=True))  # than the pixels reach: nothing to cut
    if plain or beyond:
        whole: Tensor = torch.ops.aten.conv_transpose2d.input(x, weight, bias, stride, cut, extra, groups, dilation)
        return whole
    parts = [_one_group(x, weight, group, groups, stride, dilation) for group in range(groups)]
    whole = torch.cat(parts, 1) if groups > 1 else parts[0]
    for axis, (less, more) in enumerate(zip(cut, extra, strict=True), start=2):
        whole = torch.narrow(whole, axis, less, whole.shape[axis] - 2 * less + more)
    return whole if bias is None else whole + bias.reshape(1, -1, 1, 1)


def _one_group(
    x: Tensor, weight: Tensor, group: int, groups: int, stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    each = x.shape[1] // groups
    part = slice(group * each, (group + 1) * each)
    made: Tensor = torch.ops.aten.conv_transpose2d.input(
        x[:, part], weight[part], None, stride, (0, 0), (0, 0), 1, dilation
    )
    return made


def _slice(x: Tensor, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """Take every second channel by way of a transposition, which XNNPACK runs; a slice with a step it leaves to others."""
    begin, count = start or 0, x.shape[axis]
    plain = step == 1 or axis != 1 or x.dim() != 4 or count % step or not 0 <= begin < step
    if plain or (end is not None and end < count):
        part: Tensor = torch.ops.aten.slice.Tensor(x, axis, start, end, step)
        return part
    batch, _, height, width = x.shape
    each = count // step
    apart = x.reshape(batch, each, step, height, width).transpose(1, 2).reshape(x.shape)
    return torch.narrow(apart, 1, begin * each, each)


def _repeat(x: Tensor, counts: Sequence[int]) -> Tensor:
    x = x.reshape([1] * (len(counts) - x.dim()) + list(x.shape))
    for axis, count in enumerate(counts):
        x = torch.cat([x] * count, axis) if count > 1 else x
    return x


def _tile(x: Tensor, counts: Sequence[int]) -> Tensor:
    return _repeat(x, [1] * (x.dim() - len(counts)) + list(counts))


def _einsum(equation: str, operands: Sequence[Tensor], path: object = None) -> Tensor:  # noqa: ARG001  # as torch calls it
    """Write a product of two tensors as one matrix product; any other sum is left to torch."""
    left, arrow, wanted = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    plain = arrow and len(terms) == 2 and equation.isascii() and "." not in equation
    if not plain or any(len(set(term)) < len(term) for term in (*terms, wanted)) or not set(wanted) <= set(left):
        return torch.einsum(equation, *operands)
    a, b = operands
    lengths = dict(zip(terms[0] + terms[1], (*a.shape, *b.shape), strict=True))
    shared = [name for name in terms[0] if name in terms[1]]
    batch = [name for name in shared if name in wanted]
    summed = [name for name in shared if name not in wanted]
    rows, columns = ([name for name in term if name not in shared] for term in terms)
    if any(name not in wanted for name in (*rows, *columns)):
        return torch.einsum(equation, *operands)
    a = _as_matrices(a, terms[0], lengths, batch, rows, summed)
    b = _as_matrices(b, terms[1], lengths, batch, summed, columns)
    order = [*batch, *rows, *columns]
    product = torch.matmul(a, b).reshape([lengths[name] for name in order])
    return product.permute([order.index(name) for name in wanted])


def _as_matrices(
    x: Tensor, term: str, lengths: dict[str, int], batch: list[str], rows: list[str], columns: list[str]
) -> Tensor:
    x = x.permute([term.index(name) for name in (*batch, *rows, *columns)])
    return x.reshape([math.prod(lengths[name] for name in names) for names in (batch, rows, columns)])


def _top_k(x: Tensor, k: int, axis: int = -1, largest: bool = True, in_order: bool = True) -> tuple[Tensor, Tensor]:
    last = torch.transpose(x if largest else -x, axis, -1)
    values, places = torch.topk(last.reshape(-1, last.shape[-1]), k, -1, True, in_order)
    shape = [*last.shape[:-1], k]
    # The places are made part of the values: unread, they take the converter's only way to LiteRT's kernel with them.
    values = values + (places * 0).to(values.dtype)
    values = (values if largest else -values).reshape(shape)
    return torch.transpose(values, axis, -1), torch.transpose(places.reshape(shape), axis, -1)


def _sort(x: Tensor, axis: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    return _top_k(x, x.shape[axis], axis, descending)


def _sorted_places(x: Tensor, axis: int = -1, descending: bool = False) -> Tensor:
    return _sort(x, axis, descending)[1]


_REWRITES: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.argsort.default: _sorted_places,
    torch.ops.aten.einsum.default: _einsum,
    torch.ops.aten.repeat.default: _repeat,
    torch.ops.aten.slice.Tensor: _slice,
    torch.ops.aten.sort.default: _sort,
    torch.ops.aten.tile.default: _tile,
    torch.ops.aten.topk.default: _top_k,
    torch.ops.aten.pow.Tensor_Scalar: _power,
    torch.ops.aten.square.default: _square,
    torch.ops.aten.upsample_nearest2d.vec: _nearest,
    torch.ops.aten.upsample_bilinear2d.vec: _bilinear,
    torch.ops.aten.conv_transpose2d.input: _transposed,
}
