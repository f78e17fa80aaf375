"""What LiteRT's file is made from: where not all that was wanted can be had, the artifact says so or is not built."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from edgesdk_converters.families import litert
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.target import Precision

REASON = "litert_from_onnx: there is no counterpart of Foo, in /tmp/tmpx1/model.onnx of process 4711."


class TakesEveryOther(nn.Module):
    """Reads every other channel of a convolution, as a ShuffleNet does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        answer: torch.Tensor = self.last(torch.cat([x[:, 0::2], x[:, 1::2]], dim=1))
        return answer


@pytest.fixture(scope="module")
def stepping() -> bytes:
    torch.manual_seed(0)
    image = torch.from_numpy(np.zeros((1, 3, 4, 4), np.float32))
    return onnx_from_torch(TakesEveryOther().eval(), (image,), input_names=["x"], output_names=["y"])


@pytest.fixture
def from_torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with an op that the way over ONNX does not take, and the way from torch does."""

    def refuses(*_: object) -> dict[str, bytes]:
        raise StepFailed(REASON)

    monkeypatch.setattr(litert, "_from_onnx", refuses)
    monkeypatch.setattr(litert, "_from_torch", lambda *_: {"model": b"from torch"})


def workshop_of(onnx: bytes) -> Workshop:
    return cast("Workshop", SimpleNamespace(source=SimpleNamespace(is_onnx=False), onnx=lambda: onnx))


def order_for(model: bytes, *, tuned: bool = False) -> Int8Order:
    return Int8Order(cast("Any", None), model, tuned=tuned)


@pytest.mark.usefixtures("from_torch_only")
class TestWhatOnlyTorchCanGive:
    def test_a_float_file_says_that_its_channels_are_as_they_were(
        self, stepping: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        files, notes = litert._float(workshop_of(stepping), Precision.FP32, None)
        assert files == {"model": b"from torch"}
        # Without what differs from run to run, as a bundle is the same each time that it is made.
        assert notes == ("made from torch, its channels as they were: litert_from_onnx failed (step_failed)",)
        assert REASON in caplog.text

    def test_a_file_to_quantise_says_what_is_missing(self, stepping: bytes) -> None:
        files, order, notes = litert._to_quantise(workshop_of(stepping), order_for(stepping), None)
        assert (files["model"], order.model) == (b"from torch", stepping)
        assert len(notes) == 1, "the source's own weights were wanted: only the order of channels is missing"

    def test_weights_that_are_not_evened_out_are_told(self, stepping: bytes, other_weights: bytes) -> None:
        files, order, notes = litert._to_quantise(workshop_of(stepping), order_for(other_weights), None)
        assert (files["model"], order.model) == (b"from torch", stepping)
        assert notes[0] == "channels are not evened out: litert_from_onnx failed (step_failed)"

    def test_tuned_weights_are_never_left_out(self, stepping: bytes, other_weights: bytes) -> None:
        """The tier, and the bundle, would say that they are in it."""
        with pytest.raises(StepFailed, match="Foo"):
            litert._to_quantise(workshop_of(stepping), order_for(other_weights, tuned=True), None)


@pytest.fixture(scope="module")
def other_weights(stepping: bytes) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(stepping)
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32:
            weight.CopyFrom(numpy_helper.from_array(array * 2, weight.name))
    return bytes(model.SerializeToString())


def test_what_can_be_had_is_made_without_a_word(stepping: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "_from_onnx", lambda *_: {"model": b"in order"})
    assert litert._float(workshop_of(stepping), Precision.FP32, None) == ({"model": b"in order"}, ())
    assert litert._to_quantise(workshop_of(stepping), order_for(stepping), None)[2] == ()
