from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.result_text import printable, result_text
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text

LABELS = ("zero", "one")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            Detections(np.zeros((2, 4), np.float32), np.array([0.91, 0.5]), np.array([1, 0]), LABELS),
            "2: one 0.91, zero 0.5",
        ),
        (
            Detections(np.zeros((4, 4), np.float32), np.ones(4), np.zeros(4, int), LABELS),
            "4: zero 1, zero 1, zero 1, …",
        ),
        (Detections(np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, int), LABELS), "nothing"),
        (
            Chained(
                Detections(np.zeros((2, 4), np.float32), np.array([0.91, 0.5]), np.array([1, 0]), LABELS),
                (Text("abc", 0.9), None),
            ),
            "2: one 0.91 (“abc”), zero 0.5",
        ),
        (Classification(np.array([1, 0]), np.array([0.75, 0.25]), LABELS), "one 0.75"),
        (Text("abc", 0.9), "“abc”"),
        (Embedding(np.zeros(128, np.float32)), "vector of 128"),
        (Regression(np.array([1.5, 2.0]), ("x", "y")), "x 1.5, y 2"),
    ],
)
def test_each_kind_has_its_words(result: Result, text: str) -> None:
    written: Any = result.to_json()
    assert result_text(written) == text


def test_answers_that_go_on_for_ever_are_not_followed() -> None:
    """From the network: a detection whose answer is a detection whose answer …"""
    result: Any = {"kind": "chain", "objects": []}
    for _ in range(5000):
        result = {"kind": "chain", "objects": [{"label": "a", "score": 1, "then": result}]}
    assert result_text(result) == "1: a 1"


def test_nothing_can_drive_the_terminal() -> None:
    assert printable("a\x1b[31mb\n\u202ec") == "a?[31mb??c"
    assert "\x1b" not in result_text({"kind": "text", "text": "\x1b]0;owned\x07"})
    assert printable("x" * 100, 10) == "x" * 9 + "…"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["detections", "classification", "text", "embedding", "regression", "track"]) | JSON


@given(kind=KINDS, fields=st.dictionaries(st.sampled_from(["objects", "classes", "text", "vector", "values"]), JSON))
def test_any_body_has_a_short_printable_line(kind: Any, fields: Any) -> None:
    text = result_text({**fields, "kind": kind})
    assert len(text) <= 60
    assert text.isprintable()
