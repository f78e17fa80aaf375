"""What is shipped for TensorRT: a recipe that the device reads, and a parser's opinion without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters import child
from edgesdk_converters.steps.fp16_onnx import fp16_onnx
from edgesdk_converters.steps.tensorrt_recipe import build_recipe
from edgesdk_converters.steps.tensorrt_rtx_check import Verdict, check, parser_accepts
from edgesdk_targets.errors import InputError
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit import torch_models as models

IMAGE = TensorSpec(name="image", shape=(1, 3, 32, 32))


def test_the_device_reads_the_recipe() -> None:
    recipe = build_recipe(inputs=[IMAGE], precision=Precision.FP16, workspace_mb=256)
    read = Recipe.from_bytes(json.dumps(recipe).encode())
    assert (read.min_tensorrt, read.workspace_mb, read.precision) == ("10.3", 256, Precision.FP16)
    assert read.to_json() == recipe


def test_rtx_builds_for_pcs_and_not_for_a_jetson() -> None:
    """A Jetson's system brings its TensorRT, and TensorRT-RTX knows no Jetson."""
    for tensorrt, libraries in ((None, ["tensorrt", "tensorrt_rtx"]), ("10.3", ["tensorrt"])):
        recipe = build_recipe(inputs=[IMAGE], precision=Precision.FP16, tensorrt=tensorrt)
        assert recipe["libraries"] == libraries


@pytest.mark.parametrize(("given", "oldest"), [(None, "10.3"), ("8.2.1", "8.2.1"), ("10.13", "10.3")])
def test_the_oldest_tensorrt_that_takes_it(given: str | None, oldest: str) -> None:
    assert build_recipe(inputs=[IMAGE], precision=Precision.FP32, tensorrt=given)["min_tensorrt"] == oldest


def test_an_open_size_and_no_memory_are_refused() -> None:
    with pytest.raises(InputError, match="open size"):
        build_recipe(inputs=[IMAGE.model_copy(update={"shape": (-1, 3, 32, 32)})], precision=Precision.FP32)
    with pytest.raises(InputError, match="scratch memory"):
        build_recipe(inputs=[IMAGE], precision=Precision.FP32, workspace_mb=0)


@pytest.fixture(scope="module")
def parser() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed", exc_type=ImportError)


@pytest.mark.parametrize("name", ["classifier", "reader", "detector", "streaming"])
@pytest.mark.parametrize("half", [False, True])
def test_what_we_ship_is_accepted_and_built(parser: Any, name: str, half: bool) -> None:
    content = models.onnx_of(name)
    assert check(fp16_onnx(content) if half else content) == Verdict("accepted", built=True)


def _one_node(op: str, domain: str = "") -> bytes:
    node = helper.make_node(op, ["x"], ["y"], name="the_node", domain=domain)
    border = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 4, 4)), ("y", (1,)))]
    graph = helper.make_graph([node], "g", border[:1], border[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


@pytest.mark.parametrize(("op", "domain"), [("Det", ""), ("Foo", "my")])
def test_what_the_parser_refuses_is_named(parser: Any, op: str, domain: str) -> None:
    verdict = check(_one_node(op, domain))
    assert verdict.status == "refused"
    assert (verdict.op, verdict.node) == (op, "the_node")
    assert f"{op} (node 'the_node')" in verdict.reason


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused(parser: Any, content: bytes) -> None:
    assert check(content).status == "refused"


def test_it_is_asked_in_a_process_of_its_own(parser: Any) -> None:
    assert parser_accepts(models.onnx_of("classifier")) == Verdict("accepted", built=True)
    assert parser_accepts(_one_node("Det")).node == "the_node"


@pytest.mark.parametrize(("end", "said"), [("crash", "crashed (SIGSEGV)"), ("hang", "did not end within 1 s")])
def test_a_library_that_dies_or_hangs_says_nothing_of_the_model(
    parser: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, said: str
) -> None:
    act = "os.kill(os.getpid(), signal.SIGSEGV)" if end == "crash" else "signal.pause()"
    (tmp_path / "tensorrt_rtx.py").write_text(f"import os, signal\n{act}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(child._LIMITS_S, "tensorrt_rtx_check", 1.0 if end == "hang" else 60.0)
    verdict = parser_accepts(b"anything")
    assert verdict.status == "not checked"
    assert said in verdict.reason


@pytest.mark.parametrize("name", ["the_node", ""], ids=["named", "nameless"])
def test_what_is_read_but_cannot_be_built_is_named(parser: Any, name: str) -> None:
    """TensorRT's TopK ends at 3840; its parser takes more."""
    node = helper.make_node("TopK", ["x", "k"], ["v", "i"], name=name)
    kinds = (("x", TensorProto.FLOAT, 8000), ("v", TensorProto.FLOAT, 5000), ("i", TensorProto.INT64, 5000))
    border = [helper.make_tensor_value_info(name, kind, (1, size)) for name, kind, size in kinds]
    count = numpy_helper.from_array(np.array([5000], np.int64), "k")
    graph = helper.make_graph([node], "g", border[:1], border[1:], [count])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    verdict = check(bytes(model.SerializeToString()))
    assert (verdict.status, verdict.op, verdict.built) == ("refused", "TopK", False)
    assert verdict.node == (name or "node_of_v")
    assert "K exceeds the maximum value allowed" in verdict.reason


def test_the_parser_is_silent(parser: Any, capfd: pytest.CaptureFixture[str]) -> None:
    parser_accepts(_one_node("Det"))
    assert capfd.readouterr() == ("", "")


def test_without_the_package_nothing_is_claimed() -> None:
    """In a process of its own: here the package may be loaded already."""
    code = (
        "import sys; sys.modules['tensorrt_rtx'] = None\n"
        "from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts\n"
        "print(parser_accepts(b'anything'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "Verdict(status='not checked', reason='tensorrt-rtx is not installed', op='', node='', built=False)"
    )
