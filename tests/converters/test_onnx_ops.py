"""The operators against the ONNX project's own cases: what is converted is right, what is not is refused by name."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgesdk_converters.steps.onnx_ops import OPERATORS
from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx
from edgesdk_targets.errors import EdgeError
from edgesdk_testkit.torch_models import run_onnx

# Of equal values ONNX wants the first; torch and LiteRT promise no order.
UNSPECIFIED = {"test_top_k_same_values", "test_top_k_same_values_largest", "test_top_k_same_values_2d"}
TYPES = {np.dtype(kind) for kind in ("float32", "float16", "int64", "int32", "int8", "uint8", "bool")}
# Operators whose further inputs are data too, not settings.
ALL_DATA = [
    "Add",
    "And",
    "Concat",
    "Div",
    "Equal",
    "Gather",
    "GatherElements",
    "GatherND",
    "Greater",
    "GridSample",
    "Less",
    "MatMul",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "ScatterElements",
    "ScatterND",
    "Sub",
    "Where",
    "Xor",
]


def _array(value: Any) -> np.ndarray[Any, Any]:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    return [case for case in cases if case.model is not None and _fits(case)]


def _fits(case: Any) -> bool:
    graph = case.model.graph
    if graph.node[-1].op_type not in OPERATORS or "expanded" in case.name or "training" in case.name:
        return False
    values = [*graph.input, *graph.output]
    if any(not value.type.HasField("tensor_type") for value in values):
        return False
    arrays = [_array(item) for part in case.data_sets[0] for item in part]
    return all(array.dtype in TYPES and array.size for array in arrays) and case.name not in UNSPECIFIED


def _as_exported(case: Any) -> tuple[bytes, dict[str, np.ndarray[Any, Any]]]:
    """Return the case as exporters write it: settings are initializers; and the data it is run on."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    every = model.graph.node[-1].op_type in ALL_DATA
    data, settings = {}, {}
    for place, (value, given) in enumerate(zip(case.model.graph.input, case.data_sets[0][0], strict=True)):
        (data if place == 0 or every else settings)[value.name] = _array(given)
    kept = [value for value in case.model.graph.input if value.name in data]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in settings.items())
    return model.SerializeToString(), data


def _agrees(got: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> bool:
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return False
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(got, wanted))
    tolerance = 1e-2 if wanted.dtype == np.float16 else 1e-4
    return bool(np.allclose(got.astype(float), wanted.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True))


def _outcome(case: Any) -> str:
    content, data = _as_exported(case)
    try:
        module, _ = torch_from_onnx(content)
    except EdgeError as error:
        return "refused" if error.hint else "refused without a way on"
    with torch.no_grad():
        said = module(*(torch.from_numpy(np.array(array)) for array in data.values()))
    got = [item.numpy() for item in (said if isinstance(said, tuple) else (said,))]
    if all(_agrees(a, _array(b)) for a, b in zip(got, case.data_sets[0][1], strict=True)):
        return "right"
    # Where ONNX Runtime reads the specification otherwise than its cases, we do as it does.
    return "right" if all(_agrees(a, b) for a, b in zip(got, run_onnx(content, data), strict=True)) else "wrong"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    return {case.name: _outcome(case) for case in _cases()}


def test_nothing_is_converted_wrongly(outcomes: dict[str, str]) -> None:
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in {"right", "refused"}} == {}


def test_nearly_everything_is_converted(outcomes: dict[str, str]) -> None:
    count = Counter(outcomes.values())
    assert count["right"] >= 580, count
    assert count["right"] >= 0.85 * len(outcomes), count


def test_a_wrong_operator_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in _cases() if case.name == "test_softmax_axis_1")
    assert _outcome(case) == "right"
    monkeypatch.setitem(OPERATORS, "Softmax", lambda node, x: torch.softmax(x, 0))
    assert _outcome(case) == "wrong"
