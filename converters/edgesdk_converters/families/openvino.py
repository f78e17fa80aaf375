"""OpenVINO: pixels go in as they are, the normalisation is part of the model; channels that belong together lie together."""

from __future__ import annotations

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.child import run_step
from edgesdk_converters.families.fold import fold_key, fold_of, folded_inputs
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.routes import in_words
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.target import Precision

# What NNCF's accuracy control returns layers to float for: half as much noise as INT8 usually leaves.
_CLOSE_ENOUGH_DB = 25.0


def build_openvino(workshop: Workshop, precision: Precision, int8: Int8Order | None) -> Artifact:
    """Return the artifact for OpenVINO.

    Raises:
        StepFailed: an op has no counterpart, or nothing can be quantised.
    """
    fold = fold_of(workshop)
    files = _float(workshop, precision, fold) if int8 is None else _int8(workshop, int8, fold)
    reference = workshop.reference
    return Artifact(files, folded_inputs(reference.inputs, fold), reference.outputs, folded=fold is not None)


def _float(workshop: Workshop, precision: Precision, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.contiguous_channels import contiguous_channels
    from edgesdk_converters.steps.openvino_from_onnx import openvino_from_onnx

    model = contiguous_channels(workshop.onnx())

    def run() -> dict[str, bytes]:
        xml, weights = openvino_from_onnx(model, precision=in_words(precision), fold=fold)
        return {"model": xml, "weights": weights}

    options = {"precision": precision.value, **fold_key(fold)}
    return workshop.step("openvino_from_onnx", model, options, run, tools=("openvino",))


def _int8(workshop: Workshop, order: Int8Order, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.contiguous_channels import contiguous_channels
    from edgesdk_converters.steps.int8_openvino import AccuracyControl
    from edgesdk_converters.steps.node_order import names_of_nodes

    model = contiguous_channels(order.model)
    there = names_of_nodes(model)  # a choice of channels, which is in float anyway, may have gone
    keep_float = tuple(name for name in order.keep_float if name in there)

    def run() -> dict[str, bytes]:
        xml, weights = run_step(
            "edgesdk_converters.steps.int8_openvino:int8_openvino",
            onnx=model,
            samples=order.calibrating.samples(),
            fold=fold,
            keep_float=keep_float,
            overflow_fix="all" if order.seven_bits else "none",
            accuracy=AccuracyControl(_CLOSE_ENOUGH_DB) if order.last_resort else None,
        )
        return {"model": xml, "weights": weights}

    options = {**order.to_json(), **fold_key(fold)}
    return workshop.step("int8_openvino", model, options, run, tools=("openvino", "nncf"))
