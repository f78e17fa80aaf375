"""Torch → LiteRT: the same numbers in the same order, fp16 weights, no harm to the caller's module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgesdk_converters.child import run_step
from edgesdk_converters.child_values import Call
from edgesdk_converters.steps.litert_from_torch import litert_from_torch
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models


@pytest.mark.parametrize("name", ["classifier", "reader", "detector", "streaming"])
def test_the_answers_are_torchs(name: str) -> None:
    given = models.feeds(name)
    wanted = models.answers(models.make(name), given)
    assert models.worst_db(wanted, models.run_litert(models.litert_of(name), given)) >= 100
    # Negative control: another picture gives another answer, so the figure can be missed.
    other = models.run_litert(models.litert_of(name), [1 - value for value in given])
    assert models.worst_db(wanted, other) < 60


def test_fp16_halves_the_weights_and_keeps_float_borders() -> None:
    from ai_edge_litert.interpreter import Interpreter

    wide = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 4)).eval()
    example = [torch.zeros(1, 64)]
    whole, half = (litert_from_torch(wide, example, precision=precision) for precision in ("fp32", "fp16"))
    assert len(half) < 0.6 * len(whole)
    given = [np.random.default_rng(2).random((1, 64)).astype(np.float32)]
    figure = models.worst_db(models.answers(wide, given), models.run_litert(half, given))
    assert 45 <= figure < 100  # close, and really fp16
    interpreter = Interpreter(model_content=half)
    borders = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {detail["dtype"] for detail in borders} == {np.float32}


def test_another_process_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # This one has another seed, which Python chose by chance.
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    made = run_step(
        "edgesdk_converters.steps.litert_from_torch:litert_from_torch",
        module=Call("edgesdk_testkit.torch_models:make", {"name": "streaming"}),
        example=Call("edgesdk_testkit.torch_models:feeds", {"name": "streaming"}),
        precision="fp16",
    )
    assert made == litert_from_torch(models.make("streaming"), models.feeds("streaming"), precision="fp16")
    for place in (Path.cwd(), Path(torch.__file__).parent, Path(models.__file__).parent, Path.home()):
        assert str(place).encode() not in made


class _Masked(nn.Module):
    """A mask with an infinity, five dimensions, a square."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([float("-inf"), 0.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.maximum(x, self.get_buffer("mask")), (x.reshape(1, 1, 1, 2, 1) * 2) ** 2 + x.square()


def test_the_callers_module_is_left_as_it_was() -> None:
    module = _Masked().train()
    content = litert_from_torch(module, [torch.zeros(1, 2)], precision="fp32")
    assert module.training
    assert module.get_buffer("mask")[0] == float("-inf")  # litert-torch itself would have clamped it in place
    given = [np.array([[-3.0, 2.0]], np.float32)]
    assert models.worst_db(models.answers(module, given), models.run_litert(content, given)) >= 100


def test_an_exported_program_is_taken() -> None:
    program = torch.export.export(models.make("streaming"), models.example("streaming"))
    content = litert_from_torch(program, models.feeds("streaming"), precision="fp32")
    given = models.feeds("streaming")
    wanted = models.answers(models.make("streaming"), given)
    assert models.worst_db(wanted, models.run_litert(content, given)) >= 100


def test_an_op_that_litert_lacks_is_named_with_its_place() -> None:
    with pytest.raises(StepFailed, match=r"aten\.special_bessel_j0\.default, in 'head\.1'") as caught:
        models.litert_of("unsupported")
    assert "ONNX Runtime" in caught.value.hint


def test_a_branch_on_data_is_refused_in_words() -> None:
    with pytest.raises(StepFailed, match="depend on the values"):
        models.litert_of("branching")


def test_a_wrong_shape_is_the_callers_mistake() -> None:
    with pytest.raises(InputError, match="declared input"):
        litert_from_torch(models.make("detector"), [torch.zeros(1, 4, 32, 32)], precision="fp32")


def test_the_converter_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    litert_from_torch(models.make("streaming"), models.example("streaming"), precision="fp16")
    assert capfd.readouterr() == ("", "")
