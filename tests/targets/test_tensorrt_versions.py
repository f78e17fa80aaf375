"""What each TensorRT is told, by its version: flags, precision, scratch memory, timing cache."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.tensorrt_build import build_engine
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import RTX, TensorRt
from edgesdk_targets.target import Precision
from edgesdk_testkit.simulated_cuda import SimulatedCuda
from edgesdk_testkit.simulated_tensorrt import SimulatedLayer, SimulatedTensorRt
from edgesdk_testkit.tiny_models import MODELS

EXPLICIT_BATCH, STRONGLY_TYPED = 1, 2
MB = 1 << 20


def told(version: str, precision: Precision, layers: tuple[SimulatedLayer, ...] = (), **recipe: Any) -> dict[str, Any]:
    """Build on a simulated version, and return what its builder was told."""
    module = SimulatedTensorRt(SimulatedCuda(), MODELS, version, layers)
    build_engine(TensorRt("tensorrt", module), b"", Recipe(precision=precision, **recipe), 64)
    return module.told


@pytest.mark.parametrize(
    ("version", "precision", "network_flags", "flags"),
    [
        ("8.2.1", Precision.FP32, EXPLICIT_BATCH, set()),
        ("8.2.1", Precision.FP16, EXPLICIT_BATCH, {"FP16", "OBEY_PRECISION_CONSTRAINTS"}),
        ("8.0.1", Precision.FP16, EXPLICIT_BATCH, {"FP16", "STRICT_TYPES"}),
        ("8.6.1", Precision.FP32, EXPLICIT_BATCH, set()),
        ("8.6.1", Precision.FP16, EXPLICIT_BATCH, {"FP16", "OBEY_PRECISION_CONSTRAINTS"}),
        ("8.6.1", Precision.INT8, EXPLICIT_BATCH, {"INT8"}),
        ("8.6.1", Precision.MIXED, EXPLICIT_BATCH, {"INT8"}),
        ("10.3.0", Precision.FP16, STRONGLY_TYPED, set()),
        ("10.3.0", Precision.INT8, STRONGLY_TYPED, set()),
        ("10.16.0.1", Precision.FP32, STRONGLY_TYPED, set()),
        ("11.4.0.106", Precision.FP16, 0, set()),
        ("11.4.0.106", Precision.INT8, 0, set()),
    ],
)
def test_flags(version: str, precision: Precision, network_flags: int, flags: set[str]) -> None:
    """TF32 is off in all: it would compute fp32 with ten bits of mantissa."""
    what = told(version, precision)
    assert (what["network flags"], what["flags"]) == (network_flags, flags)
    assert what["workspace"] == 64 * MB


def layers() -> tuple[SimulatedLayer, ...]:
    """A graph with a part in half precision, a part in float, and what has no arithmetic."""
    return (
        SimulatedLayer("CONVOLUTION", "HALF"),
        SimulatedLayer("SOFTMAX", "FLOAT"),
        SimulatedLayer("CONSTANT", "FLOAT"),
        SimulatedLayer("GATHER", "INT32"),
        SimulatedLayer("ELEMENTWISE", "FLOAT", is_shape_tensor=True),
    )


def test_layers_are_held_to_the_graphs_types_only_where_the_library_has_to_be_told() -> None:
    graph = layers()
    told("8.6.1", Precision.FP16, graph)
    assert [layer.precision.name if layer.precision else None for layer in graph] == ["HALF", "FLOAT", *[None] * 3]
    assert [layer.output_type == layer.precision for layer in graph] == [True] * 5
    for version, precision in (("8.6.1", Precision.INT8), ("8.6.1", Precision.FP32), ("10.3.0", Precision.FP16)):
        graph = layers()
        told(version, precision, graph)
        assert all(layer.precision is None for layer in graph), version


def test_the_optimisation_level_is_told_to_those_that_have_one() -> None:
    for version in ("8.2.1", "8.5.2", "8.6.1", "10.3.0"):
        told(version, Precision.FP32, optimization_level=2)


def test_the_timing_cache_goes_through_the_builder() -> None:
    module = SimulatedTensorRt(SimulatedCuda(), MODELS)
    trt = TensorRt("tensorrt", module)
    _, first = build_engine(trt, b"", Recipe(), 64)
    assert first == b"measured on 10.3.0"
    build_engine(trt, b"", Recipe(), 64, timing=b"kept ")
    assert module.told["timing"] == b"kept "
    # Another version's or GPU's: the library makes nothing of it, and an empty one is begun.
    build_engine(trt, b"", Recipe(), 64, timing=b"other")
    assert module.told["timing"] == b""


def test_an_old_tensorrt_is_refused() -> None:
    recipe = Recipe(min_tensorrt="10.3")

    def of(version: str, library: str = "tensorrt") -> TensorRt:
        return TensorRt(library, SimpleNamespace(__version__=version))

    for version in ("10.3.0", "10.13.2.6", "11.4.0"):
        of(version).check_version(recipe)
    for version in ("10.0.1", "8.6.1.post1"):
        with pytest.raises(SessionFailed, match=version.replace(".", r"\.")):
            of(version).check_version(recipe)
    of("1.7.1", RTX).check_version(recipe)


def test_rtx_is_strongly_typed_and_builds_for_a_named_gpu() -> None:
    kinds = Enum("ComputeCapability", ["NONE", "CURRENT", "SM75", "SM86", "SM120"])
    trt = TensorRt(RTX, SimpleNamespace(__version__="1.7.1.116", ComputeCapability=kinds))
    assert trt.keeps_types()
    assert trt.network_flags() == 0
    for known in ("7.5", "8.6", "12.0"):
        trt.check_gpu(known)
    with pytest.raises(SessionFailed, match=r"8\.7") as raised:
        trt.check_gpu("8.7")
    assert "SM75, SM86, SM120" in raised.value.hint
    TensorRt("tensorrt", SimpleNamespace(__version__="10.3")).check_gpu("8.7")
