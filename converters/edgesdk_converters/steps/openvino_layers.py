"""Layers with weights in an OpenVINO graph: which names they have, what their inputs are on average, their int8 weights.

NNCF chooses where to quantise; how the weights are rounded is decided here (`weight_rounding`), by the same rules as for
LiteRT, and the biases are corrected for what the rounding adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgesdk_converters.steps.weight_rounding import rounded
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Of each kind with weights: the axes of the weights on which its input's channels lie.
_CHANNELS = {
    "Convolution": (1,),
    "GroupConvolution": (0, 2),
    "ConvolutionBackpropData": (0,),
    "GroupConvolutionBackpropData": (0, 1),
}
_WEIGHTED = {*_CHANNELS, "MatMul", "LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "RNNCell"}
_NO_WORK = ("Constant", "Parameter", "Result")


def tail_names(model: Any) -> list[str]:
    """Return the names of the operations behind which no layer with weights comes."""
    leads: set[str] = set()
    found = []
    for op in reversed(model.get_ordered_ops()):
        name, kind = op.get_friendly_name(), op.get_type_name()
        if kind in _NO_WORK:
            continue
        readers = {
            target.get_node().get_friendly_name() for port in op.outputs() for target in port.get_target_inputs()
        }
        if kind in _WEIGHTED or readers & leads:
            leads.add(name)
        else:
            found.append(name)
    return found


def operations_of_nodes(model: Any, nodes: Iterable[tuple[Sequence[str], Sequence[str]]]) -> list[Any]:
    """Return the operations that ONNX nodes became: all between a node's outputs and its inputs.

    Args:
        nodes: names of each node's inputs and outputs.
    """
    # A result repeats the names of the operation before it.
    working = [op for op in model.get_ordered_ops() if op.get_type_name() != "Result"]
    makers = {tensor: op for op in working for port in op.outputs() for tensor in port.get_names()}
    found: dict[str, Any] = {}
    for inputs, outputs in nodes:
        ends = {makers[name].get_friendly_name() for name in inputs if name in makers}
        todo = [makers[name] for name in outputs if name in makers]
        while todo:
            op = todo.pop()
            name = op.get_friendly_name()
            if name in ends or name in found or op.get_type_name() in _NO_WORK:
                continue
            found[name] = op
            todo += [port.get_node() for port in op.input_values()]
    return list(found.values())


def has_layers(model: Any, floats: Iterable[str]) -> bool:
    """Say whether some layer with weights is left to quantise."""
    kept = set(floats)
    return any(op.get_type_name() in _WEIGHTED and op.get_friendly_name() not in kept for op in model.get_ordered_ops())


def input_means(model: Any, feeds: Iterable[Sequence[Array]]) -> dict[str, Array]:
    """Return the mean (C,) of each convolution's or product's input over samples and places, by the layer's name.

    Raises:
        InputError: an output is NaN or infinite on a sample.
    """
    import openvino
    from openvino import opset13

    watched = model.clone()
    count = len(watched.outputs)
    layers = [op for op in watched.get_ordered_ops() if op.get_type_name() in (*_CHANNELS, "MatMul")]
    sources: dict[tuple[str, int], Any] = {}
    readers: dict[str, tuple[int, str]] = {}
    for op in layers:
        port = op.input_value(0)
        key = (port.get_node().get_friendly_name(), port.get_index())
        sources.setdefault(key, port)
        readers[op.get_friendly_name()] = (count + list(sources).index(key), op.get_type_name())
    # Results of their own: `add_outputs` leaves out a port that is an output already.
    watched.add_results([opset13.result(port) for port in sources.values()])
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(watched, "CPU", settings).create_infer_request()
    sums: dict[str, Array] = {}
    samples = 0
    for feed in feeds:
        request.infer(dict(enumerate(feed)))
        if not all(np.isfinite(request.get_output_tensor(index).data).all() for index in range(count)):
            raise InputError(
                "The model's output is infinite or no number on a calibration sample.",
                hint="Check the weights and the samples; such a model cannot be quantised.",
            )
        for name, (index, kind) in readers.items():
            value = request.get_output_tensor(index).data
            axis = value.ndim - 1 if kind == "MatMul" else 1
            mean = value.mean(tuple(i for i in range(value.ndim) if i != axis), dtype=np.float64)
            sums[name] = sums.get(name, np.zeros_like(mean)) + mean
        samples += 1
    return {name: total / samples for name, total in sums.items()}


def round_weights(quantised: Any, original: Any, means: Mapping[str, Array]) -> int:
    """Round the weights of NNCF's int8 layers anew, from the float model's, in place; return how many layers had it.

    Args:
        quantised: NNCF's result: weights are int8 constants, converted and multiplied by one step a channel.
        original: the float model, with the same names.
        means: of each layer's input (`input_means`).
    """
    floats = {op.get_friendly_name(): op for op in original.get_ordered_ops()}
    done = 0
    for op in quantised.get_ordered_ops():
        kind, name = op.get_type_name(), op.get_friendly_name()
        source = floats.get(name)
        if kind not in (*_CHANNELS, "MatMul") or source is None:
            continue
        wanted = source.input_value(1).get_node()
        chain = _int8_chain(op)
        if chain is None or wanted.get_type_name() != "Constant":
            continue
        done += _round_layer(op, chain, np.asarray(wanted.data, np.float32), means.get(name))
    return done


def _int8_chain(layer: Any) -> tuple[Any, Any] | None:
    """Return the nodes Convert and Multiply between a layer and its int8 weights; None where there are no such."""
    scale = layer.input_value(1).get_node()
    if scale.get_type_name() != "Multiply":
        return None
    convert, step = scale.input_value(0).get_node(), scale.input_value(1).get_node()
    if convert.get_type_name() != "Convert" or step.get_type_name() != "Constant":
        return None
    weights = convert.input_value(0).get_node()
    plain = weights.get_type_name() == "Constant" and weights.get_element_type().get_type_name() == "i8"
    return (convert, scale) if plain else None


def _round_layer(layer: Any, chain: tuple[Any, Any], weights: Array, means: Array | None) -> bool:
    from openvino import opset13

    convert, scale = chain
    steps = scale.input_value(1).get_node().data
    if weights.shape != tuple(convert.input_value(0).get_shape()) or steps.ndim != weights.ndim:
        return False
    channels = [axis for axis in range(weights.ndim) if steps.shape[axis] > 1]
    rest = [axis for axis in range(weights.ndim) if axis not in channels]
    order = [*channels, *rest]
    rows = weights.transpose(order).reshape(int(np.prod([weights.shape[axis] for axis in channels], dtype=int)), -1)
    spread = _spread(layer, weights, channels, means)
    if spread is not None:
        spread = np.broadcast_to(spread, weights.shape).transpose(order).reshape(rows.shape)
    made = rounded(rows, means=spread)
    back = np.argsort(order)
    whole = made.whole.reshape([weights.shape[axis] for axis in order]).transpose(back)
    convert.input(0).replace_source_output(opset13.constant(np.ascontiguousarray(whole)).output(0))
    fresh = made.steps.astype(np.float32).reshape(steps.shape)
    scale.input(1).replace_source_output(opset13.constant(fresh).output(0))
    _correct_bias(layer, made.shift.astype(np.float32))
    return True


def _spread(layer: Any, weights: Array, channels: Sequence[int], means: Array | None) -> Array | None:
    """Shape the means so that they meet the weights that they are multiplied with."""
    if means is None:
        return None
    axes = _CHANNELS.get(layer.get_type_name())
    if axes is None:  # a product: of two axes the one that is not the output's
        if weights.ndim != 2 or len(channels) != 1:
            return None
        axes = (1 - channels[0],)
    shape = [weights.shape[axis] if axis in axes else 1 for axis in range(weights.ndim)]
    return means.reshape(shape) if means.size == int(np.prod(shape)) else None


def _correct_bias(layer: Any, shift: Array) -> None:
    """Add to the constant that is added to a layer's output; a layer without one stays as it is."""
    from openvino import opset13

    readers = list(layer.output(0).get_target_inputs())
    if len(readers) != 1 or readers[0].get_node().get_type_name() != "Add":
        return
    add = readers[0].get_node()
    for port in add.inputs():
        constant = port.get_source_output().get_node()
        if constant.get_type_name() == "Constant" and constant.data.size == shift.size:
            bias = np.asarray(constant.data, np.float32)
            port.replace_source_output(opset13.constant(bias + shift.reshape(bias.shape)).output(0))
            return
