"""Greedy CTC, alone and across the border of two calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.decode.ctc import greedy_ctc, symbols_of
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array, TensorSpec

SYMBOLS = ("", "a", "b")


def steps(path: list[int], classes: int = 3, sure: float = 0.8) -> Array:
    """Return (T, classes) probabilities whose best symbols are `path`."""
    out = np.full((len(path), classes), (1 - sure) / (classes - 1), np.float32)
    out[np.arange(len(path)), path] = sure
    return out


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([0, 0, 0], ""),
        ([1, 1, 1], "a"),
        ([1, 0, 1], "aa"),
        ([1, 1, 2, 2, 1], "aba"),
        ([0, 2, 0, 0, 2, 2, 1, 0], "bba"),
    ],
)
def test_reads(path: list[int], text: str) -> None:
    assert greedy_ctc(steps(path), SYMBOLS, 0)[0] == text


def test_confidence_is_the_geometric_mean_of_each_characters_best_step() -> None:
    probabilities = np.asarray([[0.1, 0.9, 0], [0.4, 0.6, 0], [0.9, 0.1, 0], [0.6, 0, 0.4], [0, 0.6, 0.4]], np.float32)
    text, confidence, last = greedy_ctc(probabilities, SYMBOLS, 0)
    assert (text, last) == ("aa", 1)
    assert confidence == pytest.approx((0.9 * 0.6) ** 0.5)


def test_no_text_has_no_confidence() -> None:
    assert greedy_ctc(steps([0, 0]), SYMBOLS, 0) == ("", 0.0, 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_a_stream_reads_as_the_whole(path: list[int], data: st.DataObject) -> None:
    """However the steps are cut into calls, nothing is doubled and nothing lost."""
    spec = (TensorSpec(name="probabilities", shape=(1, 1, 4)),)
    labels = ("x", "y", "z")
    decoder = Decoder("text", Postprocess(blank=2), labels, spec, None)
    whole = greedy_ctc(steps(path, 4), ("x", "y", "", "z"), 2)[0]
    memory: dict[str, int] = {}
    parts: list[str] = []
    rest = path
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        answer = decoder({"probabilities": steps(rest[:cut], 4)[None]}, None, memory)
        assert isinstance(answer, Text)
        parts.append(answer.text)
        rest = rest[cut:]
    assert "".join(parts) == whole


def test_without_memory_each_call_starts_again() -> None:
    decoder = Decoder("text", Postprocess(), ("a", "b"), (TensorSpec(name="probabilities", shape=(1, 3)),), None)
    outputs = {"probabilities": steps([1])}
    texts = [decoder(outputs, None, None) for _ in range(2)]
    assert [t.text for t in texts if isinstance(t, Text)] == ["a", "a"]
    memory: dict[str, int] = {}
    texts = [decoder(outputs, None, memory) for _ in range(2)]
    assert [t.text for t in texts if isinstance(t, Text)] == ["a", ""]
    memory.clear()  # a reset
    answer = decoder(outputs, None, memory)
    assert isinstance(answer, Text)
    assert answer.text == "a"


@pytest.mark.parametrize("shape", [(1, 4, 3), (4, 1, 3)])
def test_batch_first_and_time_first(shape: tuple[int, ...]) -> None:
    """Logits become probabilities, by the output's name."""
    decoder = Decoder("text", Postprocess(), ("a", "b"), (TensorSpec(name="logits", shape=shape),), None)
    logits = np.log(steps([1, 0, 2, 2])).reshape(shape)
    answer = decoder({"logits": logits}, None)
    assert isinstance(answer, Text)
    assert answer.text == "ab"
    assert answer.confidence == pytest.approx(0.8, abs=1e-5)


def test_labels_with_and_without_the_blank() -> None:
    assert symbols_of(("a", "b"), 3, 0) == ("", "a", "b")
    assert symbols_of(("a", "b"), 3, 2) == ("a", "b", "")
    assert symbols_of(("-", "a", "b"), 3, 0) == ("-", "a", "b")
    assert symbols_of(("a",), 3, 0) is None
    assert symbols_of(("a", "b"), 3, 3) is None


def test_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(InputError, match="66 CTC classes and the blank is number 0, but there are 0 labels") as caught:
        Decoder("text", Postprocess(), (), (TensorSpec(name="logits", shape=(1, 33, 66)),), None)
    assert "65 labels" in caught.value.hint
