"""Float ONNX → 8 bits where it pays, as QuantizeLinear/DequantizeLinear pairs in the graph, by onnxruntime's quantiser.

Two styles. `u8s8` is what ONNX Runtime on a CPU is fast with: activations uint8 with a zero point, weights int8 with one
scale a channel, every op between two convolutions in 8 bits. `symmetric` is what TensorRT takes: int8 throughout, zero
points 0, biases float, and pairs only where a product reads, so that a convolution and the Clip, Relu or Add behind it are
one: a range taken before the Clip costs MobileNetV2 6.5 points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.int8_onnx_drift import Style, correct_drift
from edgesdk_converters.steps.int8_onnx_parts import own_constants, quantised_nodes
from edgesdk_converters.steps.int8_onnx_prepare import prepare
from edgesdk_converters.steps.int8_onnx_ranges import HINT, Ranges, measure_ranges
from edgesdk_converters.steps.int8_onnx_shield import shield_float_layers
from edgesdk_converters.steps.node_order import name_nodes, sort_nodes
from edgesdk_converters.steps.onnx_from_torch import strip_origin
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_converters.steps.tensor_ranges import run_onnx
from edgesdk_targets.errors import StepFailed

if TYPE_CHECKING:
    import onnx

Samples = Mapping[str, npt.NDArray[Any]]
# Products whose kernels answer in float: no pair behind them, unless the next op reads 8 bits.
_FLOAT_ANSWER = {"u8s8": ["Gemm", "MatMul"], "symmetric": ["Conv", "ConvTranspose", "Gemm", "MatMul"]}


def int8_onnx(
    model: bytes,
    samples: Samples,
    *,
    style: Style,
    keep_float: Sequence[str] = (),
    ranges: Ranges | None = None,
    reduce_range: bool = False,
) -> bytes:
    """Return the model with 8-bit weights and arithmetic; inputs and outputs stay float32.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input); read for the ranges where those are not given.
        keep_float: exact names of nodes that stay float (`nodes_matching` finds them by pattern), beside the tail.
        ranges: of `measure_ranges` on the same model.
        reduce_range: weights in 7 bits, for x86 CPUs without VNNI, whose 8-bit products overflow.

    Raises:
        InputError: it is no ONNX model, samples do not fit, or the float model gives no numbers.
        StepFailed: nothing in the model can be quantised, or the quantiser failed.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    ranges = ranges or measure_ranges(model, samples)
    with framework_edge("int8_onnx", hint=HINT):
        with needs("onnx", extra="torch"):
            import onnx as onnx_library
        with needs("onnxruntime", extra="onnx"):
            import onnxruntime  # noqa: F401
        report("int8_onnx: quantising")
        prepared = prepare(model)
        kept = {prepared.moved.get(name, name) for name in keep_float}
        nodes = quantised_nodes(prepared.model, ranges, style=style, keep_float=kept)
        own_constants(prepared.model.graph, set(nodes))
        correct_drift(prepared.model.graph, ranges.drift, set(nodes), style=style, reduce_range=reduce_range)
        before = type(prepared.model.graph).FromString(prepared.model.graph.SerializeToString())
        quantised = _quantised(prepared.model, ranges, nodes, style, reduce_range)
        shield_float_layers(quantised.graph, before, set(nodes), kept, style)
        name_nodes(quantised.graph)
        sort_nodes(quantised.graph)
        del quantised.graph.value_info[:]  # said of the tensors before
        strip_origin(quantised)
        onnx_library.checker.check_model(quantised, full_check=True)
        content: bytes = quantised.SerializeToString(deterministic=True)
        _check_runs(content, {name: array[0] for name, array in samples.items()} if samples else {})
        return content


def _quantised(
    model: onnx.ModelProto, ranges: Ranges, nodes: Sequence[str], style: Style, reduce_range: bool
) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import TensorData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    symmetric = style == "symmetric"
    add_infer_metadata(model)  # the types are known: the quantiser need not write the model to a file and infer them
    measured = {}
    for name in ranges.lowest:
        low, high = ranges.of(name, style)
        measured[name] = TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
    chosen = set(nodes)
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=measured,
        nodes_to_quantize=list(nodes),
        nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in model.graph.node if node.name in chosen}),
        extra_options={
            "ActivationSymmetric": symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": not symmetric,
            "AddQDQPairToWeight": False,
            "OpTypesToExcludeOutputQuantization": _FLOAT_ANSWER[style],
        },
    )
    result: onnx.ModelProto = quantiser.quantize_model()
    return result


def _check_runs(content: bytes, feed: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse a graph that ONNX Runtime cannot run or that gives no numbers."""
    if not feed:
        session_of(content)
        return
    for name, value in run_onnx(content, feed).items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise StepFailed(f"int8_onnx: the output {name!r} is no number in 8 bits.", hint=HINT)
