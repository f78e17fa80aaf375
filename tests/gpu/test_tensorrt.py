"""TensorRT on a real GPU: the engine is built on this machine and run. Skipped elsewhere, with the reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.runtimes.cuda_memory import Cuda
from edgesdk_targets.runtimes.tensorrt import open_session
from edgesdk_targets.session import Load, Session, SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tiny_models import CNN, TinyFile


def why_not() -> str:
    """Return why TensorRT cannot run here; nothing where it can."""
    if importlib.util.find_spec("tensorrt") is None:
        return "tensorrt is not installed (pip install 'edgesdk[tensorrt]', or the Jetson's own)"
    try:
        Cuda()
    except EdgeError as error:
        return error.message
    return ""


WHY_NOT = why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


class TestTensorRt(SessionContract):
    runtime = Runtime.TENSORRT
    # TensorRT computes float32 convolutions in TF32 where the GPU has it.
    atol = 5e-3

    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        # One for all tests: an engine takes seconds to build.
        self.cache_dir: Path = tmp_path_factory.getbasetemp() / "engines"

    def open(self, load: Load) -> Session:
        options = SessionOptions(threads=load.options.threads, cache_dir=self.cache_dir)
        return open_session(Load(load.files, load.variant, load.inputs, load.outputs, options))

    def test_the_second_start_takes_the_kept_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open(self.load(CNN)).close()
        monkeypatch.setattr("edgesdk_targets.runtimes.tensorrt_engine.EngineCache.build", None)
        feeds = CNN.feeds()
        self.check(CNN, feeds, self.open(self.load(CNN)).run(feeds))

    def test_half_precision_inside(self) -> None:
        """As the converter ships it: float32 at the border, fp16 between two casts."""
        inputs, outputs = (TensorSpec(name="x", shape=(1, 64)),), (TensorSpec(name="y", shape=(1, 64)),)
        nodes = [
            Node("Cast", ["x"], ["half"], {"to": 10}),
            Node("Tanh", ["half"], ["bent"]),
            Node("Cast", ["bent"], ["y"], {"to": 1}),
        ]
        model = onnx_model(nodes, inputs, outputs, {})
        load = self.load(CNN, TinyFile({"model": model}, inputs, outputs))
        session = self.open(Load(load.files, load.variant, inputs, outputs, load.options))
        values = np.linspace(-3, 3, 64, dtype=np.float32)[None]
        answer = session.run({"x": values})["y"]
        assert 0 < np.abs(answer - np.tanh(values)).max() < 2e-3
