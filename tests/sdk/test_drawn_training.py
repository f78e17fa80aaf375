"""Training the sample models on pictures that are drawn."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgesdk_agent.cameras.conveyor import load_digits

torch = pytest.importorskip("torch", reason="the sample models are trained and defined in PyTorch")
pytest.importorskip("sklearn", reason="the sample models are trained on scikit-learn's digits")
FOLDER = Path(__file__).resolve().parents[2] / "examples/digits"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return what imports a file of the sample models."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.parametrize("steps", [0, 9, 255])
def test_steps_that_would_be_left_out_are_refused(steps: int, example: Callable[[str], ModuleType]) -> None:
    check_steps = example("drawn_training").check_steps
    check_steps(250)
    with pytest.raises(ValueError, match=f"{steps} steps cannot be shared out over 10 epochs"):
        check_steps(steps)


@pytest.fixture
def train(example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Any]:
    """Return what trains a sample model by its own script, for ten steps of two pictures: the model, and what came of it."""
    digits = example("make_data").Digits(*load_digits())

    def trained(name: str, seed: int) -> tuple[Any, Any]:
        script = example("train_readers" if "reader" in name else f"train_{name}")
        fitted: list[Any] = []
        stream = "_STREAM_" if "stream" in name else ""
        real = script.fit_drawn
        with monkeypatch.context() as patched:
            patched.setattr(script, f"{stream}STEPS", 10)
            patched.setattr(script, f"{stream}BATCH", 2)
            patched.setattr(script, "fit_drawn", lambda *given, **named: fitted.append(real(*given, **named)))
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model = example("train").MODELS[name][0](digits, seed)
        return model, fitted[0]

    return trained


@pytest.mark.parametrize("name", ["classifier", "detector", "motion", "row_reader", "row_reader_stream"])
def test_each_sample_model_takes_its_steps(name: str, train: Callable[[str, int], Any]) -> None:
    model, fitted = train(name, 7)
    assert (fitted.steps, fitted.epochs) == (10, 10)
    assert all(math.isfinite(epoch.loss) for epoch in fitted.history)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_the_same_seed_gives_the_same_weights(train: Callable[[str, int], Any]) -> None:
    one, again, other = (train("classifier", seed)[0].state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)
