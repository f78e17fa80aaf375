"""A runtime that dies of an artifact does not take the conversion with it: the next runtime of the chain is built."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_converters.convert import convert
from edgesdk_targets.session import RUNTIMES, RuntimeEntry
from edgesdk_targets.target import Runtime
from edgesdk_testkit.fake_runtimes import session_module

FAKE = "edgesdk_fake_parity_session"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    entry = RUNTIMES[Runtime.OPENVINO]
    monkeypatch.setitem(RUNTIMES, Runtime.OPENVINO, RuntimeEntry(FAKE, (FAKE,), entry.extra))
    yield tmp_path
    sys.modules.pop(FAKE, None)


@pytest.mark.parametrize(("act", "said"), [("SIGILL", "illegal instruction"), ("137", "memory ran out")])
def test_the_next_runtime_is_built_and_the_reason_noted(fake: Path, root: Path, act: str, said: str) -> None:
    session_module(fake, FAKE, act, "load")
    card = root / "examples/digits/classifier.yaml"
    made = convert(card, "x86-cpu", output=fake / "out", precision="fp32")
    (variant,) = made.variants
    assert variant.runtime is Runtime.ONNXRUNTIME
    assert any(note.startswith("openvino") and "not taken" in note and said in note for note in variant.notes), (
        variant.notes
    )


def test_wrong_answers_are_left_to_the_comparison(fake: Path, root: Path) -> None:
    session_module(fake, FAKE, answer="nan")
    made = convert(root / "examples/digits/classifier.yaml", "x86-cpu", output=fake / "out", precision="fp32")
    (variant,) = made.variants
    assert variant.runtime is Runtime.ONNXRUNTIME
    assert any("answers differently" in note for note in variant.notes), variant.notes
