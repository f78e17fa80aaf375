"""The script for a machine with a GPU: everything passes there; elsewhere it says plainly that there is none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.runtimes.cuda_memory import Cuda
from edgesdk_targets.target import Runtime

SCRIPT = Path(__file__).with_name("check_gpu.py")


def has_gpu() -> bool:
    try:
        Cuda()
    except EdgeError:
        return False
    return True


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_gpu"] = module
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.mark.gpu
def test_everything_that_is_possible_here_is_right() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    if has_gpu():
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ok" in done.stdout
    else:
        assert done.returncode == 77
        assert "No NVIDIA GPU can be used here, so nothing was tried" in done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_its_models_and_answers_are_right(script: Any) -> None:
    """By ONNX Runtime on the processor; so a failure on a GPU is the GPU's."""
    onnxruntime = pytest.importorskip("onnxruntime")
    names = []
    for case in script.tiny_cases():
        session = onnxruntime.InferenceSession(case.model, providers=["CPUExecutionProvider"])
        for name, array in zip(case.expected, session.run(list(case.expected), case.feeds), strict=True):
            assert np.abs(array - case.expected[name]).max() <= case.atol, case.name
        names.append(case.name)
    assert {"tanh", "conv-qdq"} < set(names)


def test_a_check_passes_and_fails_where_it_should(script: Any, tmp_path: Path) -> None:
    """The script's own instrument, on the processor: right and wrong answers, and a provider that does not run."""
    pytest.importorskip("onnxruntime")
    case = next(script.tiny_cases())
    row = script.check("CPU", case, Runtime.ONNXRUNTIME, None, tmp_path)
    assert row.state == "ok"
    assert row.run_ms > 0
    wrong = {name: array + 1 for name, array in case.expected.items()}
    assert (
        script.check("CPU", script.replace(case, expected=wrong), Runtime.ONNXRUNTIME, None, tmp_path).state == "FAILED"
    )
    if not has_gpu():
        row = script.check("TRT", case, Runtime.ONNXRUNTIME, None, tmp_path, script.TENSORRT)
        assert row.state == "FAILED"
        broken = script._guarded("x", "y", lambda: script.check("TensorRT", case, Runtime.TENSORRT, None, tmp_path))
        assert broken.state == "FAILED"
        assert broken.detail
