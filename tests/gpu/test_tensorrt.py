"""TensorRT and TensorRT-RTX on a real GPU: engines are built on this machine and run. Skipped elsewhere, with the reason."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import EdgeError, MissingExtra
from edgesdk_targets.runtimes.cuda_memory import Cuda
from edgesdk_targets.runtimes.tensorrt import open_session
from edgesdk_targets.runtimes.tensorrt_recipe import Library, Recipe
from edgesdk_targets.runtimes.tensorrt_versions import TensorRt, import_library
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tiny_models import CNN, TinyFile


def why_not(library: Library) -> str:
    """Return why a library cannot run here; nothing where it can."""
    if importlib.util.find_spec(library) is None:
        return f"{library} is not installed (pip install 'edgesdk[{library.replace('_', '-')}]', or the Jetson's own)"
    try:
        trt = TensorRt(library, import_library(library))
        trt.check_gpu(Cuda().gpu.compute_capability)
    except EdgeError as error:
        return error.message
    return ""


def needs(library: Library) -> pytest.MarkDecorator:
    reason = why_not(library)
    return pytest.mark.skipif(bool(reason), reason=reason)


pytestmark = pytest.mark.gpu


class OnTheGpu(SessionContract):
    runtime = Runtime.TENSORRT
    library: ClassVar[Library]
    # TensorRT computes float32 convolutions in TF32 where the GPU has it.
    atol = 5e-3

    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        # One for all tests: an engine takes seconds to build.
        self.cache_dir: Path = tmp_path_factory.getbasetemp() / "engines"

    def open(self, load: Load) -> Session:
        options = replace(load.options, cache_dir=self.cache_dir)
        files = {"recipe": Recipe(libraries=(self.library,)).to_bytes(), **load.files}
        return open_session(Load(files, load.variant, load.inputs, load.outputs, options))

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


@needs("tensorrt")
class TestTensorRt(OnTheGpu):
    library = "tensorrt"


@needs("tensorrt_rtx")
class TestTensorRtRtx(OnTheGpu):
    library = "tensorrt_rtx"

    def test_a_runtime_that_is_not_installed_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)  # type: ignore[arg-type]
        with pytest.raises(MissingExtra, match="tensorrt_rtx"):
            self.open(self.load(CNN))
