"""ONNX → LiteRT in a child: the same numbers, and refusals that name the ONNX node."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgesdk_converters.step_progress import listening
from edgesdk_converters.steps.litert_from_onnx import litert_from_onnx, litert_here
from edgesdk_converters.steps.onnx_ops import OPERATORS
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models


def test_the_answers_are_onnx_runtimes(capfd: pytest.CaptureFixture[str]) -> None:
    content = models.onnx_of("detector")
    heard: list[str] = []
    with listening(heard.append):
        artifact = litert_from_onnx(content, precision="fp32")
    assert capfd.readouterr() == ("", "")
    given = models.feeds("detector")
    wanted = models.run_onnx(content, {"input_0": given[0]})
    assert models.worst_db(wanted, models.run_litert(artifact, given)) >= 100
    assert heard[0].startswith("litert_from_torch: ")


def test_in_this_process_the_bytes_are_the_same() -> None:
    content = models.onnx_of("streaming")
    assert litert_here(content, precision="fp16") == litert_from_onnx(content, precision="fp16")


def _one_node(op: str) -> bytes:
    node = helper.make_node(op, ["x"], ["y"], name="the_node")
    border = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 3, 4, 4)), ("y", None))]
    graph = helper.make_graph([node], "g", border[:1], border[1:])
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


def test_an_unknown_op_comes_back_from_the_child_by_name() -> None:
    with pytest.raises(StepFailed, match=r"the op Det \(node 'the_node'\)"):
        litert_from_onnx(_one_node("Det"), precision="fp32")


def test_an_op_that_only_litert_lacks_is_told_by_its_onnx_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "Relu", lambda _node, x: torch.special.bessel_j0(x))
    with pytest.raises(StepFailed, match=r"from the ONNX node Relu 'the_node'") as caught:
        litert_here(_one_node("Relu"), precision="fp32")
    assert "aten.special_bessel_j0" in caught.value.message


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_what_is_no_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        litert_from_onnx(content, precision="fp32")


def test_a_truncated_file_is_refused() -> None:
    content = models.onnx_of("detector")
    with pytest.raises((InputError, StepFailed)):
        litert_here(content[: len(content) // 2], precision="fp32")
    onnx.load_from_string(content)  # negative control: whole, it is one
