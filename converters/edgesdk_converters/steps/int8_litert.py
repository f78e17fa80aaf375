"""Float LiteRT → INT8 LiteRT: static (weights and activations) or dynamic (weights; activations at run time).

Rule: inputs and outputs stay as the float file has them, and so does everything behind the last layers with weights
(sigmoid, softmax, boxes' arithmetic, the join of boxes and scores): two kinds of numbers never share one scale. Weights are
symmetric with one step a channel; activations have one step each, from the smallest and largest value on the samples. Where
layers are kept in float, so is everything without weights: joins and slices in 8 bits between them round what passes through at
each one anew, and cost more conversions than they save (FastestDet, 35 of 70 layers in float: F1 0.953 and 2.1 ms, else 0.928
and 3.6 ms).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.litert_graph import LAYERS, LiteRtGraph, Operation
from edgesdk_converters.steps.litert_ranges import Ranges, measure_ranges
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.steps.weight_rounding import Rounded, rounded
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_targets.tensor import Array

Mode = Literal["static", "dynamic"]
_HINT = "Use --precision fp16 for this model, or ONNX Runtime."


def int8_litert(
    tflite: bytes,
    samples: Mapping[str, Array],
    *,
    mode: Mode,
    keep_float: Sequence[str] = (),
    fold: Fold | None = None,
    ranges: Ranges | None = None,
) -> bytes:
    """Quantise a float LiteRT model.

    Args:
        tflite: the float model's file (`litert_from_torch`, `litert_from_onnx`), with weights in float32.
        samples: input name → (N, *shape) as the float model takes it, in the order of its inputs; not read where the
            mode is dynamic.
        keep_float: names of operations (of their first output; `*` is anything) that are not quantised.
        fold: the file was converted with it; samples are still those of the model without, (N, 1, C, H, W).
        ranges: of `measure_ranges` on the same file; samples are not read then.

    Raises:
        InputError: no samples, samples that do not fit, weights or activations that are no numbers, a name in
            `keep_float` that fits no operation.
        StepFailed: nothing in the model can be quantised, or the quantiser failed.
        MissingExtra: ai-edge-quantizer or ai-edge-litert is not installed.
    """
    with framework_edge("int8_litert", hint=_HINT):
        if mode == "dynamic":
            ranges = None
        elif ranges is None:
            ranges = measure_ranges(tflite, samples, fold=fold)
        report("int8_litert: quantising")
        return quantised(tflite, ranges, keep_float=LiteRtGraph(tflite).matching(keep_float))


def quantised(tflite: bytes, ranges: Ranges | None, *, keep_float: Collection[str] = ()) -> bytes:
    """Quantise with ranges measured before; None for dynamic quantisation.

    Args:
        keep_float: exact names of operations.

    Raises:
        InputError, StepFailed, MissingExtra: as `int8_litert`.
    """
    with needs("ai-edge-quantizer", extra="torch"):
        from ai_edge_quantizer import quantizer

    graph = LiteRtGraph(tflite)
    # A quantised tensor that both leaves as float and is read inside is wired wrongly by the quantiser.
    floats = {*graph.tail(), *graph.pixel_arithmetic(), *graph.read_outputs(), *keep_float}
    if keep_float:
        floats |= graph.without_weights(floats)
    layers = [op for op in graph.layers() if op.name not in floats]
    if not layers:
        raise StepFailed(
            "int8_litert: no layer is left that can be quantised.", hint="Keep fewer layers in float, or use fp16."
        )
    seen = _activation_ranges(ranges)
    for op in layers:
        made, axis = _round_layer(graph, op, ranges)
        seen[graph.name_of(op.inputs[1])] = _weight_range(made, axis)
    work = quantizer.Quantizer(bytearray(graph.content()))
    _write_recipe(work, graph, floats, static=ranges is not None)
    result = work.quantize(seen, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _round_layer(graph: LiteRtGraph, op: Operation, ranges: Ranges | None) -> tuple[Rounded, int]:
    """Choose a layer's steps, and correct its float bias in the graph."""
    axis = LAYERS[op.kind]
    weights = graph.constant(op.inputs[1])
    bias = graph.constant(op.inputs[2]) if len(op.inputs) > 2 else None
    assert weights is not None  # noqa: S101  (of a layer, by its definition)
    if not np.isfinite(weights).all() or not (bias is None or np.isfinite(bias).all()):
        raise InputError(f"The weights of {op.name!r} are not all numbers.", hint="Train or export the model again.")
    source = graph.name_of(op.inputs[0])
    step = ranges.step(source) if ranges else None
    means = ranges.means.get(source) if ranges else None
    if means is not None and means.shape != weights.shape[-1:]:
        means = None  # a fully connected layer over several axes
    # The last axis of the weights is the input's channel in each kind; moved with the output's channel where they are one.
    if means is not None:
        means = np.moveaxis(np.broadcast_to(means, weights.shape), axis, 0)
    made = rounded(np.moveaxis(weights, axis, 0), bias=bias, input_step=step, means=means)
    if bias is not None:
        graph.set_constant(op.inputs[2], bias + made.shift.astype(np.float32))
    return made, axis


def _weight_range(made: Rounded, axis: int) -> dict[str, Array]:
    """Say the steps as the range that the quantiser turns into them."""
    shape = [1] * made.whole.ndim
    shape[axis] = -1
    most = (127 * made.steps).astype(np.float32).reshape(shape)
    return {"min": -most, "max": most}


def _activation_ranges(ranges: Ranges | None) -> dict[str, dict[str, Array]]:
    if ranges is None:
        return {}
    return {
        name: {"min": np.array([low], np.float32), "max": np.array([ranges.high[name]], np.float32)}
        for name, low in ranges.low.items()
    }


def _write_recipe(work: Any, graph: LiteRtGraph, floats: Collection[str], *, static: bool) -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    kinds = qtyping.TFLOperationName
    if static:
        work.add_static_config(".*", kinds.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
        for border in (kinds.INPUT, kinds.OUTPUT):
            work.update_quantization_recipe(".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE)
    else:
        for kind in LAYERS:
            work.add_dynamic_config(".*", kinds(kind), num_bits=8)
    for op in graph.operations:
        if op.name in floats:
            # An operation's scope is the names of its outputs, each closed by a semicolon.
            scope = "".join(f"{graph.name_of(output)};" for output in op.outputs)
            work.update_quantization_recipe(
                f"^{re.escape(scope)}$", kinds.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
            )
