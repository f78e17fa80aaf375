"""Training the sample models on pictures that are drawn."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("steps", [0, 9, 255])
def test_steps_that_would_be_left_out_are_refused(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "examples/digits"))
    check_steps = importlib.import_module("drawn_training").check_steps
    check_steps(250)
    with pytest.raises(ValueError, match=f"{steps} steps cannot be shared out over 10 epochs"):
        check_steps(steps)
