"""Torch → ONNX: the same numbers, the same bytes, no trace of the machine."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from edgesdk_converters.child import run_step
from edgesdk_converters.child_values import Call
from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch, strip_origin
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models

CONVERTIBLE = ("classifier", "reader", "detector", "streaming")


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_answers_are_torchs(name: str) -> None:
    given = models.feeds(name)
    wanted = models.answers(models.make(name), given)
    got = models.run_onnx(models.onnx_of(name), dict(zip(models.inputs(name), given, strict=True)))
    assert models.worst_db(wanted, got) >= 100
    # Negative control: another picture gives another answer, so the figure can be missed.
    other = models.run_onnx(models.onnx_of(name), {k: 1 - v for k, v in zip(models.inputs(name), given, strict=True)})
    assert models.worst_db(wanted, other) < 60


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_border_is_as_asked_and_static(name: str) -> None:
    model = onnx.load_from_string(models.onnx_of(name))
    assert [value.name for value in model.graph.input] == list(models.inputs(name))
    assert [value.name for value in model.graph.output] == list(models.MODELS[name].OUTPUTS)
    for value in (*model.graph.input, *model.graph.output):
        assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)
    assert {item.domain: item.version for item in model.opset_import} == {"": 18}
    onnx.checker.check_model(model, full_check=True)


def test_another_process_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # This one has another seed, which Python chose by chance.
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    made = run_step(
        "edgesdk_converters.steps.onnx_from_torch:onnx_from_torch",
        module=Call("edgesdk_testkit.torch_models:make", {"name": "detector"}),
        example=Call("edgesdk_testkit.torch_models:feeds", {"name": "detector"}),
        input_names=models.inputs("detector"),
        output_names=("boxes", "scores"),
    )
    assert made == models.onnx_of("detector")


def test_nothing_tells_where_it_was_made() -> None:
    content = models.onnx_of("classifier")
    for place in (Path.cwd(), Path(torch.__file__).parent, Path(models.__file__).parent, Path.home()):
        assert str(place).encode() not in content
    assert b".py" not in content
    assert b"pkg.torch" not in content
    # Negative control: the exporter does write such things.
    program = torch.onnx.export(
        models.make("classifier"), models.example("classifier"), dynamo=True, opset_version=18, verbose=False
    )
    assert program is not None
    raw = program.model_proto
    assert b"torch_models.py" in raw.SerializeToString()
    strip_origin(raw)
    assert b"torch_models.py" not in raw.SerializeToString()


def test_the_callers_module_is_left_in_training() -> None:
    module = models.make("classifier").train()
    module.get_submodule("head").eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    onnx_from_torch(module, models.example("classifier"), input_names=["x"], output_names=["y"])
    assert module.training
    assert module.get_submodule("features.1").training
    assert not module.get_submodule("head").training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_an_exported_program_is_taken() -> None:
    program = torch.export.export(models.make("detector"), models.example("detector"))
    content = onnx_from_torch(
        program, models.example("detector"), input_names=["input_0"], output_names=["boxes", "scores"]
    )
    given = models.feeds("detector")
    assert (
        models.worst_db(models.answers(models.make("detector"), given), models.run_onnx(content, {"input_0": given[0]}))
        >= 100
    )


def test_an_op_that_onnx_lacks_is_named() -> None:
    with pytest.raises(StepFailed, match="bessel_j0") as caught:
        models.onnx_of("unsupported")
    assert caught.value.message.startswith("onnx_from_torch: ")
    assert caught.value.hint


def test_a_branch_on_data_is_refused_in_words() -> None:
    with pytest.raises(StepFailed, match="depend on the values"):
        models.onnx_of("branching")


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "said"),
    [
        ((1, 4, 32, 32), ["x"], ["boxes", "scores"], r"declared input, \(1, 4, 32, 32\) float32"),
        ((1, 3, 32, 32), ["x"], ["boxes"], "2 outputs .* 1 names"),
        ((1, 3, 32, 32), ["x", "y"], ["boxes", "scores"], "1 inputs .* 2 names"),
        ((1, 3, 32, 32), ["x"], ["x", "scores"], "used twice"),
    ],
)
def test_a_card_that_does_not_fit_is_the_callers_mistake(
    shape: tuple[int, ...], inputs: list[str], outputs: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        onnx_from_torch(models.make("detector"), [torch.zeros(shape)], input_names=inputs, output_names=outputs)


class _Dictionary(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": x}


def test_a_model_that_returns_no_tensors_is_refused() -> None:
    with pytest.raises(InputError, match="it returned dict"):
        onnx_from_torch(_Dictionary(), [torch.zeros(1)], input_names=["x"], output_names=["y"])


def test_the_exporter_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    onnx_from_torch(
        models.make("streaming"), models.example("streaming"), input_names=["a", "b"], output_names=["c", "d"]
    )
    assert capfd.readouterr() == ("", "")
