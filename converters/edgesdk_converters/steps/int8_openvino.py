"""ONNX → OpenVINO IR in INT8 by NNCF: activations with a zero point, weights symmetric with one step for each channel.

Rule: everything behind the last layers with weights (sigmoid, softmax, boxes' arithmetic) stays float, and so do inputs
and outputs. The same model and samples give the same bytes. Normalisation is folded into the input as for float.
"""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.litert_ranges import feeds_of
from edgesdk_converters.steps.openvino_from_onnx import Fold, check_borders, name_by_place, names_in, saved, with_fold
from edgesdk_converters.steps.openvino_layers import (
    has_layers,
    input_means,
    operations_of_nodes,
    round_weights,
    tail_names,
)
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from onnx import ModelProto

_HINT = "Use --precision fp16 for this model, or ONNX Runtime."
# With it NNCF's module makes no telemetry object, so nothing is sent.
_NO_TELEMETRY = "NNCF_CI"
OverflowFix = Literal["none", "first layer", "all"]


@dataclass(frozen=True, slots=True)
class AccuracyControl:
    """Let NNCF return layers to float until the outputs are close enough to the float model's.

    Attributes:
        min_sqnr_db: wanted of each output, over the samples: signal to difference, in dB.
        samples: how many of the samples are compared; each try runs them all.
        max_layers: how many layers may return to float.
    """

    min_sqnr_db: float
    samples: int = 32
    max_layers: int = 16

    def __post_init__(self) -> None:
        """Refuse counts that measure nothing."""
        if self.samples < 1 or self.max_layers < 1:
            raise InputError("AccuracyControl needs one sample and one layer at least.", hint="Give positive numbers.")


def int8_openvino(
    onnx: bytes,
    samples: Mapping[str, Array],
    *,
    fold: Fold | None = None,
    keep_float: Sequence[str] = (),
    accuracy: AccuracyControl | None = None,
    overflow_fix: OverflowFix = "none",
) -> tuple[bytes, bytes]:
    """Quantise an ONNX model with fixed shapes to OpenVINO IR.

    Args:
        onnx: a float ONNX file's bytes.
        samples: input name → (N, *shape), prepared as the float model takes them.
        fold: normalisation to build into the first input, which then is uint8 NHWC.
        keep_float: names of ONNX nodes that are not quantised.
        accuracy: return layers to float until the outputs are close enough.
        overflow_fix: halve the weights' range (of the first layers, or of all) for processors without VNNI, whose
            16-bit sums overflow; weights then keep NNCF's rounding.

    Returns:
        The `.xml` and the `.bin`.

    Raises:
        InputError: it is no ONNX model, a shape is not fixed, samples or names do not fit, a weight or an output is no
            number, or `fold` does not fit the first input.
        StepFailed: nothing in the model can be quantised, or OpenVINO or NNCF failed.
        MissingExtra: openvino, nncf or onnx is not installed.
    """
    with framework_edge("int8_openvino", hint=_HINT):
        with needs("openvino", extra="openvino"):
            import openvino

        parsed = parse_onnx(onnx)
        names = list(input_shapes(parsed))
        ordered = _in_order(samples, input_shapes(parsed))
        model = openvino.convert_model(io.BytesIO(parsed.SerializeToString(deterministic=True)))
        check_borders(model, names, [value.name for value in parsed.graph.output])
        kept = operations_of_nodes(model, _kept(parsed, keep_float))
        name_by_place(model, names_in(parsed.graph))
        floats = sorted({*tail_names(model), *(op.get_friendly_name() for op in kept)})
        if not has_layers(model, floats):
            raise StepFailed("int8_openvino: no layer is left that can be quantised.", hint=_HINT)
        report("int8_openvino: measuring")
        means = input_means(model, feeds_of(ordered))
        _refuse_no_numbers(parsed)
        report("int8_openvino: quantising")
        done = _quantised(model, ordered, floats, accuracy, overflow_fix)
        if overflow_fix == "none":
            round_weights(done, model, means)
        name_by_place(done, names_in(parsed.graph))
        xml, weights = saved(done, half=False)
        if fold is None:
            return xml, weights
        # Folded last: NNCF would otherwise quantise the arithmetic of the normalisation.
        return saved(with_fold(xml, weights, fold), half=False)


def _in_order(samples: Mapping[str, Array], shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    if set(samples) != set(shapes) or any(samples[name].shape[1:] != tuple(shapes[name]) for name in shapes):
        given = {name: array.shape[1:] for name, array in samples.items()}
        raise InputError(
            f"The samples have inputs {given}; the model takes {dict(shapes)}.",
            hint="Give each input's samples as the float model takes them.",
        )
    return {name: samples[name] for name in shapes}


def _kept(parsed: ModelProto, keep_float: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    nodes = {node.name or node.output[0]: node for node in parsed.graph.node}
    missing = [name for name in keep_float if name not in nodes]
    if missing:
        raise InputError(f"The model has no node {missing[0]!r}.", hint="Give names of nodes of the ONNX model.")
    return [(list(nodes[name].input), list(nodes[name].output)) for name in keep_float]


def _refuse_no_numbers(parsed: ModelProto) -> None:
    from onnx import numpy_helper

    for weight in parsed.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InputError(f"The weight {weight.name!r} holds NaN.", hint="Train or export the model again.")


def _quantised(
    model: Any,
    samples: Mapping[str, Array],
    floats: Sequence[str],
    accuracy: AccuracyControl | None,
    overflow_fix: OverflowFix,
) -> Any:
    with _quiet_nncf(), needs("nncf", extra="openvino"):
        import nncf
        from nncf.quantization.advanced_parameters import QuantizationParameters
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        data = nncf.Dataset([dict(zip(samples, feed, strict=True)) for feed in feeds_of(samples)])
        advanced = nncf.AdvancedQuantizationParameters(
            overflow_fix={
                "none": nncf.OverflowFix.DISABLE,
                "first layer": nncf.OverflowFix.FIRST_LAYER,
                "all": nncf.OverflowFix.ENABLE,
            }[overflow_fix],
            disable_bias_correction=overflow_fix == "none",  # ours goes with our rounding
            # One range a tensor, from the extremes: ranges of single channels, or averages of extremes, cut off what the
            # calibration pictures reach rarely (MobileNetV2: 21 against 16.5 and 14 dB).
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            activations_quantization_params=QuantizationParameters(per_channel=False),
        )
        common: dict[str, Any] = {
            "preset": nncf.QuantizationPreset.MIXED,
            "subset_size": len(next(iter(samples.values()))),
            "ignored_scope": nncf.IgnoredScope(names=list(floats), validate=False),
        }
        if accuracy is None:
            return nncf.quantize(model, data, advanced_parameters=advanced, **common)
        compared = [dict(zip(samples, feed, strict=True)) for feed in feeds_of(_first(samples, accuracy.samples))]
        return nncf.quantize_with_accuracy_control(
            model,
            data,
            nncf.Dataset(compared),
            _Closeness(model, compared, accuracy.min_sqnr_db).score,
            # The score is capped at the wish, which the float model reaches: a drop is what is missing.
            max_drop=0.0,
            drop_type=nncf.DropType.ABSOLUTE,
            advanced_quantization_parameters=advanced,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=accuracy.max_layers, num_ranking_workers=1
            ),
            **common,
        )


def _first(samples: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in samples.items()}


class _Closeness:
    """How close a model's outputs are to the float model's; the form is that of NNCF's validation function."""

    def __init__(self, model: Any, feeds: Sequence[Mapping[str, Array]], wish_db: float) -> None:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._wish_db = float(wish_db)  # NNCF takes an int for something else
        answers = _answers(openvino.Core().compile_model(model, "CPU", settings), feeds)
        # By the sample itself: NNCF asks about some of them, in an order of its own.
        self._wanted = {id(feed): answer for feed, answer in zip(feeds, answers, strict=True)}

    def score(self, compiled: Any, feeds: Iterable[Mapping[str, Array]]) -> tuple[float, list[float]]:
        """Return the worst output's ratio over all samples, and that of each sample, in dB up to what is wished."""
        asked = list(feeds)
        answers = _answers(compiled, asked)
        pairs = [(self._wanted[id(feed)], answer) for feed, answer in zip(asked, answers, strict=True)]
        outputs = range(len(pairs[0][0]))
        each = [min(self._db([pair], output) for output in outputs) for pair in pairs]
        return min(self._db(pairs, output) for output in outputs), each

    def _db(self, pairs: Sequence[tuple[Sequence[Array], Sequence[Array]]], output: int) -> float:
        signal = sum(float((wanted[output] ** 2).sum()) for wanted, _ in pairs)
        noise = sum(float(((wanted[output] - got[output]) ** 2).sum()) for wanted, got in pairs)
        if noise == 0:
            return self._wish_db
        return min(self._wish_db, 10 * math.log10(max(signal, 1e-30) / noise))


def _answers(compiled: Any, feeds: Iterable[Mapping[str, Array]]) -> Iterator[list[Array]]:
    request = compiled.create_infer_request()
    for feed in feeds:
        result = request.infer(dict(feed))
        yield [result[port].astype(np.float64) for port in compiled.outputs]


@contextmanager
def _quiet_nncf() -> Iterator[None]:
    """Import and use NNCF without telemetry, and without its handler, which would keep a stream that is closed later."""
    before = os.environ.get(_NO_TELEMETRY)
    os.environ[_NO_TELEMETRY] = "1"
    try:
        yield
    finally:
        logging.getLogger("nncf").handlers.clear()
        if before is None:
            del os.environ[_NO_TELEMETRY]
        else:
            os.environ[_NO_TELEMETRY] = before
