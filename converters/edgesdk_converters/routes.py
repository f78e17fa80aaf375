"""Which way leads from a source to a target (pure).

A target has a chain of runtimes; for each there is one way from torch and one from ONNX. The first that works is
built; why an earlier one did not is kept and shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision, Runtime, Target

FLOATS = (Precision.FP32, Precision.FP16)
# Their ranges have to be measured on pictures.
QUANTISED = (Precision.INT8, Precision.MIXED)


@dataclass(frozen=True, slots=True)
class Route:
    """One way: the steps by name, and the runtime and precision they end in.

    Attributes:
        max_opset: the newest ONNX opset that the target's parser reads; None where it does not limit.
        tensorrt: the version that comes with the target's system, where one does.
    """

    runtime: Runtime
    precision: Precision
    steps: tuple[str, ...]
    max_opset: int | None = None
    tensorrt: str | None = None

    def in_float(self) -> Route:
        """Return the way to the same runtime in fp32."""
        return replace(self, precision=Precision.FP32)


def routes(target: Target, *, from_onnx: bool, precision: Precision | None) -> tuple[Route, ...]:
    """Return the ways to try for a target, best first.

    Args:
        precision: None for the target's default, in float.

    Raises:
        InputError: the target's runtimes do not have this precision.
    """
    wanted = precision or (target.default_precision if target.default_precision in FLOATS else Precision.FP32)
    found = []
    for runtime in target.runtimes:
        has = target.precisions.get(runtime, ())
        # A precision that was asked for is kept; a default gives way to what the next runtime computes in.
        chosen = wanted if wanted in has else None if precision else next((p for p in FLOATS if p in has), None)
        if chosen is not None:
            found.append(_route(target, runtime, chosen, from_onnx=from_onnx))
    if not found:
        have = sorted({p.value for ps in target.precisions.values() for p in ps})
        raise InputError(
            f"{target.name} has no runtime for {wanted.value}.",
            hint=f"Use --precision {' or '.join(have)} for this target.",
        )
    return tuple(found)


def precision_named(name: str) -> Precision:
    """Return the precision of this name.

    Raises:
        InputError: there is none.
    """
    try:
        return Precision(name)
    except ValueError as error:
        choices = ", ".join(p.value for p in Precision)
        raise InputError(f"Unknown precision {name!r}.", hint=f"One of: {choices}.") from error


def in_words(precision: Precision) -> Literal["fp32", "fp16"]:
    """Return a float precision as the steps take it."""
    return "fp16" if precision is Precision.FP16 else "fp32"


def _route(target: Target, runtime: Runtime, precision: Precision, *, from_onnx: bool) -> Route:
    max_opset = target.max_onnx_opset if runtime is Runtime.TENSORRT else None
    steps = _steps(runtime, precision, from_onnx=from_onnx)
    return Route(runtime, precision, steps, max_opset, target.platforms[0].tensorrt)


def _steps(runtime: Runtime, precision: Precision, *, from_onnx: bool) -> tuple[str, ...]:
    to_onnx = () if from_onnx else ("onnx_from_torch",)
    quantised = precision in QUANTISED
    if runtime is Runtime.LITERT:
        to_litert = ("litert_from_onnx",) if from_onnx else ("litert_from_torch",)
        return (*to_litert, "int8_litert") if quantised else to_litert
    if runtime is Runtime.OPENVINO:
        return (*to_onnx, "int8_openvino" if quantised else "openvino_from_onnx")
    narrow = ("int8_onnx",) if quantised else ("fp16_onnx",) if precision is Precision.FP16 else ()
    if runtime is Runtime.TENSORRT:
        return (*to_onnx, "older_opset", *narrow, "tensorrt_recipe")
    return (*to_onnx, *narrow)
