from __future__ import annotations

import pytest

from edgesdk_converters.routes import routes
from edgesdk_targets.catalogue import find_target, load_targets
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision, Runtime


def test_every_shipped_target_has_a_way_from_torch_and_from_onnx() -> None:
    for target in load_targets().values():
        for from_onnx in (False, True):
            assert routes(target, from_onnx=from_onnx, precision=None)


def test_the_chain_decides_the_order() -> None:
    ways = routes(find_target("rpi5"), from_onnx=False, precision=Precision.FP32)
    assert [way.runtime for way in ways][:2] == [Runtime.LITERT, Runtime.ONNXRUNTIME]
    assert ways[0].steps == ("litert_from_torch",)


def test_onnx_sources_are_never_exported_again() -> None:
    for target in load_targets().values():
        for way in routes(target, from_onnx=True, precision=None):
            assert "onnx_from_torch" not in way.steps


def test_a_precision_that_the_target_lacks_is_refused_with_those_it_has() -> None:
    orin, nano = find_target("jetson-orin-nano"), find_target("jetson-nano")
    assert routes(orin, from_onnx=False, precision=Precision.FP16)[0].steps[-1] == "tensorrt_recipe"
    assert "int8_onnx" in routes(orin, from_onnx=False, precision=Precision.INT8)[0].steps
    with pytest.raises(InputError, match="int8") as caught:
        routes(nano, from_onnx=False, precision=Precision.INT8)
    assert "fp16" in caught.value.hint
