"""Walk one route: to the files of one variant, by the family of its runtime."""

from __future__ import annotations

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.routes import Route
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.target import Runtime


def build(workshop: Workshop, route: Route, int8: Int8Order | None = None) -> Artifact:
    """Run the route's steps, to INT8 where there is an order for it.

    Raises:
        StepFailed: an op has no counterpart there, or nothing can be quantised.
        MissingExtra: a converter's package is not installed.
    """
    if route.runtime is Runtime.LITERT:
        from edgesdk_converters.families.litert import build_litert

        return build_litert(workshop, route.precision, int8)
    if route.runtime is Runtime.OPENVINO:
        from edgesdk_converters.families.openvino import build_openvino

        return build_openvino(workshop, route.precision, int8)
    from edgesdk_converters.families.onnx import build_onnx

    return build_onnx(workshop, route, int8)
