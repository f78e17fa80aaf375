"""TensorRT's session on a simulated GPU: memory, copies, slots and errors. The real one: tests/gpu."""

from __future__ import annotations

import ctypes
import gc
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.runtimes import tensorrt
from edgesdk_targets.runtimes.cuda_memory import Cuda
from edgesdk_targets.runtimes.tensorrt_engine import EngineCache
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import import_library
from edgesdk_targets.session import Load, Session, SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.simulated_cuda import SimulatedCuda
from edgesdk_testkit.simulated_tensorrt import SimulatedTensorRt
from edgesdk_testkit.tiny_models import CNN, MODELS

VERSIONS = "edgesdk_targets.runtimes.tensorrt_versions"


class BuilderInProcess(EngineCache):
    """Knows the engines of the tiny models' ONNX; counts what it builds."""

    built: ClassVar[list[str]] = []

    def _tries(self, scratch: Path, model: bytes, recipe: bytes | None) -> bytes:
        for name, tiny in MODELS.items():
            if tiny.file(Runtime.ONNXRUNTIME).files["model"] == model:
                self.built.append(name)
                return b"engine:" + name.encode()
        raise SessionFailed("TensorRT does not take this model: it holds no graph", hint="Choose another variant.")


class TensorRtContract(SessionContract):
    runtime = Runtime.TENSORRT
    shares_memory: ClassVar[bool]
    version: ClassVar[str] = "10.3.0"

    @pytest.fixture(autouse=True)
    def _gpu(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.gpu = SimulatedCuda(shares_memory=self.shares_memory)
        self.cache_dir = tmp_path
        BuilderInProcess.built.clear()
        monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(self.gpu, self.gpu))
        monkeypatch.setattr(tensorrt, "EngineCache", BuilderInProcess)
        self.library = SimulatedTensorRt(self.gpu, MODELS, self.version)
        monkeypatch.setattr(f"{VERSIONS}.import_library", lambda name: self.library)

    def open(self, load: Load) -> Session:
        options = replace(load.options, cache_dir=self.cache_dir)
        return tensorrt.open_session(Load(load.files, load.variant, load.inputs, load.outputs, options))

    def test_a_run_allocates_nothing_of_frame_size(self) -> None:
        self.gpu.computes = False
        super().test_a_run_allocates_nothing_of_frame_size()

    def test_a_runtime_that_is_not_installed_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(f"{VERSIONS}.import_library", import_library)
        super().test_a_runtime_that_is_not_installed_is_named(monkeypatch)

    def test_an_engine_is_built_once(self) -> None:
        for _ in range(3):
            self.open(self.load(CNN)).close()
        assert BuilderInProcess.built == ["cnn"]

    def test_a_build_is_told_and_a_kept_engine_is_none(self) -> None:
        told: list[bool] = []
        load = self.load(CNN)
        options = SessionOptions(cache_dir=self.cache_dir, on_build=told.append)
        for _ in range(2):
            tensorrt.open_session(Load(load.files, load.variant, load.inputs, load.outputs, options)).close()
        assert told == [True, False]

    def test_an_engine_that_does_not_load_is_built_again(self) -> None:
        self.open(self.load(CNN)).close()
        (path,) = (self.cache_dir / "engines").glob("*/*.engine")
        path.write_bytes(path.read_bytes()[:-1])
        feeds = CNN.feeds()
        self.check(CNN, feeds, self.open(self.load(CNN)).run(feeds))
        assert BuilderInProcess.built == ["cnn", "cnn"]

    def test_an_update_of_tensorrt_builds_again_and_prunes(self) -> None:
        self.open(self.load(CNN)).close()
        (before,) = (self.cache_dir / "engines").iterdir()
        self.library.__version__ = "10.4.0"
        self.open(self.load(CNN)).close()
        assert BuilderInProcess.built == ["cnn", "cnn"]
        assert not before.exists()
        assert len(list((self.cache_dir / "engines").iterdir())) == 1

    def test_memory_is_given_back(self) -> None:
        session = self.open(self.load(CNN))
        bindings = session.bind(3)
        session.run(CNN.feeds())
        assert self.gpu.live
        session.close()
        del session, bindings
        gc.collect()
        assert self.gpu.live == {}

    def test_arrays_keep_their_memory(self) -> None:
        session = self.open(self.load(CNN))
        (binding,) = session.bind()
        image = binding.inputs["image"]
        image[...] = 3
        session.close()
        del session, binding
        gc.collect()
        assert (image == 3).all()
        assert list(self.gpu.live) == [image.__array_interface__["data"][0]]

    def test_outputs_of_open_size_are_refused(self) -> None:
        load = self.load(CNN)
        open_outputs = (TensorSpec(name="logits", shape=(1, -1)),)
        with pytest.raises(SessionFailed, match="size that depends"):
            self.open(Load(load.files, load.variant, load.inputs, open_outputs, load.options))

    def test_a_full_gpu_says_so(self) -> None:
        self.gpu = SimulatedCuda(shares_memory=self.shares_memory, memory_bytes=1000)
        session = self.open(self.load(CNN))
        with pytest.raises(SessionFailed, match="out of memory"):
            session.bind()

    def test_a_machine_without_a_gpu_says_so(self) -> None:
        self.gpu = SimulatedCuda(gpus=0)
        with pytest.raises(SessionFailed, match="no NVIDIA GPU"):
            self.open(self.load(CNN))


class TestSharedMemory(TensorRtContract):
    """As on a Jetson: what the processor writes is where the GPU reads."""

    shares_memory = True

    def test_nothing_is_copied(self) -> None:
        (binding,) = self.open(self.load(CNN)).bind()
        binding.run()
        assert self.gpu.copied == 0


class TestSeparateMemory(TensorRtContract):
    """As on a graphics card: one copy in, one out."""

    shares_memory = False

    def test_only_inputs_and_outputs_are_copied(self) -> None:
        (binding,) = self.open(self.load(CNN)).bind()
        binding.run()
        assert self.gpu.copied == CNN.inputs[0].size_bytes + CNN.outputs[0].size_bytes


class TestBindingsByIndex(TensorRtContract):
    """As TensorRT before 8.5 has them."""

    shares_memory = True
    version = "8.2.1"


class TestTensorRt8(TensorRtContract):
    shares_memory = False
    version = "8.6.1"


class TestTensorRtRtx:
    """The same variant by TensorRT-RTX, where the recipe allows it and only that is installed."""

    @pytest.fixture(autouse=True)
    def _gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = SimulatedCuda()
        monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(gpu, gpu))
        monkeypatch.setattr(tensorrt, "EngineCache", BuilderInProcess)
        BuilderInProcess.built.clear()
        self.library = SimulatedTensorRt(gpu, MODELS, "1.7.1")
        self.library.ComputeCapability = Enum("ComputeCapability", ["NONE", "SM75", "SM86", "SM87"])

        def only_rtx(name: str) -> Any:
            if name == "tensorrt":
                raise MissingExtra("tensorrt", "tensorrt")
            return self.library

        monkeypatch.setattr(f"{VERSIONS}.import_library", only_rtx)

    def open(self, tmp_path: Path, recipe: Recipe) -> Session:
        load = TensorRtContract().load(CNN)
        files = {**load.files, "recipe": recipe.to_bytes()}
        options = SessionOptions(cache_dir=tmp_path)
        return tensorrt.open_session(Load(files, load.variant, load.inputs, load.outputs, options))

    def test_it_runs(self, tmp_path: Path) -> None:
        recipe = Recipe(libraries=("tensorrt", "tensorrt_rtx"), min_tensorrt="10.3")
        session = self.open(tmp_path, recipe)
        feeds = CNN.feeds()
        TensorRtContract().check(CNN, feeds, session.run(feeds))
        (folder,) = (tmp_path / "engines").iterdir()
        assert folder.name.startswith("tensorrt_rtx-1.7.1-")

    def test_a_jetsons_recipe_does_not_allow_it(self, tmp_path: Path) -> None:
        with pytest.raises(MissingExtra, match="tensorrt is not installed"):
            self.open(tmp_path, Recipe())

    def test_a_gpu_that_it_does_not_know_is_refused_before_anything_is_built(self, tmp_path: Path) -> None:
        self.library.ComputeCapability = Enum("ComputeCapability", ["NONE", "SM75", "SM86"])
        with pytest.raises(SessionFailed, match=r"no GPU of compute capability 8\.7") as raised:
            self.open(tmp_path, Recipe(libraries=("tensorrt_rtx",)))
        assert "SM75, SM86" in raised.value.hint
        assert BuilderInProcess.built == []


def test_facts_of_the_gpu() -> None:
    gpu = SimulatedCuda(shares_memory=True)
    facts = Cuda(gpu, gpu).gpu
    assert (facts.name, facts.compute_capability, facts.shares_memory) == ("Simulated", "8.7", True)
    assert facts.driver.startswith("12060")


def test_a_machine_without_cuda_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(SessionFailed, match="libcudart") as raised:
        Cuda()
    assert "Install" in raised.value.hint


def test_the_simulation_refuses_what_a_gpu_would() -> None:
    """Negative control: host memory is not the GPU's, and a copy past the end fails."""
    gpu = SimulatedCuda()
    cuda = Cuda(gpu, gpu)
    spec = TensorSpec(name="x", shape=(4,))
    with pytest.raises(AssertionError, match="not this GPU's memory"):
        gpu.memory(np.zeros(4, np.float32).ctypes.data, spec)
    tensor = cuda.allocate(spec)
    with pytest.raises(SessionFailed, match="invalid argument"):
        cuda._copy(tensor.device, tensor.address, 17, 1, 77)
