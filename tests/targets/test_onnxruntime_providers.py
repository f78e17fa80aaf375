"""TensorRT → CUDA → CPU inside ONNX Runtime, on a simulated GPU build: what runs, and why not what is faster."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesdk_targets import variant_choice
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.model import load_model
from edgesdk_targets.runtimes import onnxruntime_providers, tensorrt
from edgesdk_targets.runtimes.cuda_memory import Cuda
from edgesdk_targets.runtimes.onnxruntime import open_session
from edgesdk_targets.session import Load, Session, SessionOptions, by_logical_name, is_accelerated, passed_over
from edgesdk_targets.target import Precision, Runtime
from edgesdk_testkit.simulated_cuda import SimulatedCuda
from edgesdk_testkit.tiny_bundles import tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN

real = pytest.importorskip("onnxruntime")
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


class GpuBuild:
    """The module `onnxruntime` of a GPU build: everything is the real library on the processor, but for providers.

    Attributes:
        silent: providers whose library does not load: the session goes on without them, and says nothing.
        failing: providers that refuse the model with an error.
        asked: the providers of each try, with their options.
    """

    def __init__(self, *listed: str, silent: tuple[str, ...] = (), failing: tuple[str, ...] = ()) -> None:
        self.listed = [*listed, CPU]
        self.silent, self.failing = silent, failing
        self.asked: list[dict[str, dict[str, str]]] = []
        self.__version__ = "1.99"
        self.SessionOptions = real.SessionOptions
        self.OrtValue = real.OrtValue

    def get_available_providers(self) -> list[str]:
        return self.listed

    def InferenceSession(  # noqa: N802
        self, model: bytes, options: Any, providers: list[tuple[str, dict[str, str]]], enable_fallback: int
    ) -> Any:
        assert enable_fallback == 0, "the library would print on stdout, and go on by itself"
        self.asked.append(dict(providers))
        for name, _ in providers:
            if name in self.failing:
                raise RuntimeError(f"{name}: no kernel image is available")
        session = real.InferenceSession(model, options, providers=[CPU])
        running = [name for name, _ in providers if name not in self.silent]
        return _Session(session, running)


class _Session:
    def __init__(self, session: Any, running: list[str]) -> None:
        self._session = session
        self.get_providers = lambda: running

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@pytest.fixture(autouse=True)
def _driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_providers, "nvidia_driver", lambda: "NVRM version: 580")


def opened(
    build: GpuBuild,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    runtime: Runtime = Runtime.TENSORRT,
    precision: Precision = Precision.FP32,
) -> dict[str, str]:
    """Open the tiny model, check its answer, and return what was passed over and why."""
    return dict(passed_over(session_of(build, monkeypatch, tmp_path, runtime, precision)))


def session_of(
    build: GpuBuild,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    runtime: Runtime = Runtime.TENSORRT,
    precision: Precision = Precision.FP32,
) -> Session:
    """Open the tiny model, and check its answer."""
    monkeypatch.setitem(sys.modules, "onnxruntime", build)  # type: ignore[arg-type]
    variant, files = tiny_variant(CNN, "jetson-orin-nano", runtime)
    variant = variant.model_copy(update={"precision": precision})
    load = Load(
        {role: files[path] for role, path in variant.files.items()},
        variant,
        by_logical_name(CNN.inputs, variant.inputs),
        by_logical_name(CNN.outputs, variant.outputs),
        SessionOptions(cache_dir=tmp_path),
    )
    session = open_session(load)
    feeds = CNN.feeds()
    np.testing.assert_allclose(session.run(feeds)["logits"], CNN.reference(feeds)["logits"], atol=1e-5)
    return session


def test_the_fastest_is_asked_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = GpuBuild(TENSORRT, CUDA)
    assert opened(build, monkeypatch, tmp_path) == {}
    assert [list(asked) for asked in build.asked] == [[TENSORRT, CUDA, CPU]]
    assert build.asked[0][CUDA] == {"use_tf32": "0"}


@pytest.mark.parametrize(
    ("precision", "half", "byte"), [(Precision.FP32, "0", "0"), (Precision.FP16, "1", "0"), (Precision.INT8, "0", "1")]
)
def test_engines_are_kept_and_the_precision_is_the_variants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: Precision, half: str, byte: str
) -> None:
    build = GpuBuild(TENSORRT, CUDA)
    opened(build, monkeypatch, tmp_path, precision=precision)
    told = build.asked[0][TENSORRT]
    assert (told["trt_fp16_enable"], told["trt_int8_enable"]) == (half, byte)
    assert Path(told["trt_engine_cache_path"]).parent == tmp_path / "engines"
    assert Path(told["trt_engine_cache_path"]).is_dir()


def test_engines_of_another_version_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = GpuBuild(TENSORRT)
    opened(build, monkeypatch, tmp_path)
    (before,) = (tmp_path / "engines").iterdir()
    other = tmp_path / "engines" / "tensorrt-10.3-0123"
    other.mkdir()
    for number in range(20):
        (before / f"{number}.engine").touch()
    opened(build, monkeypatch, tmp_path)
    assert len(list(before.iterdir())) == 16
    build.__version__ = "2.0"
    opened(build, monkeypatch, tmp_path)
    assert not before.exists()
    assert other.exists()


def test_a_build_without_a_gpu_says_which_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reasons = opened(GpuBuild(), monkeypatch, tmp_path)
    assert set(reasons) == {TENSORRT, CUDA}
    assert all("onnxruntime-gpu" in reason for reason in reasons.values())


def test_a_model_that_was_not_made_for_a_gpu_is_not_told_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert opened(GpuBuild(), monkeypatch, tmp_path, Runtime.ONNXRUNTIME) == {}
    build = GpuBuild(TENSORRT, CUDA)
    assert opened(build, monkeypatch, tmp_path, Runtime.ONNXRUNTIME) == {}
    assert list(build.asked[0]) == [CUDA, CPU]


@pytest.mark.parametrize("silent", [(TENSORRT,), (TENSORRT, CUDA), (CUDA,)])
def test_what_is_left_out_in_silence_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, silent: tuple[str, ...]
) -> None:
    reasons = opened(GpuBuild(TENSORRT, CUDA, silent=silent), monkeypatch, tmp_path)
    assert set(reasons) == set(silent)
    assert all("libraries are missing, or of another version" in reason for reason in reasons.values())
    monkeypatch.setattr(onnxruntime_providers, "nvidia_driver", lambda: "")
    reasons = opened(GpuBuild(TENSORRT, CUDA, silent=silent), monkeypatch, tmp_path)
    assert all("no NVIDIA driver" in reason for reason in reasons.values())


@pytest.mark.parametrize("failing", [(TENSORRT,), (TENSORRT, CUDA)])
def test_what_refuses_the_model_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    build = GpuBuild(TENSORRT, CUDA, failing=failing)
    reasons = opened(build, monkeypatch, tmp_path)
    assert set(reasons) == set(failing)
    assert all(f"{name}: no kernel image" in reason for name, reason in reasons.items())
    assert capfd.readouterr().out == ""


def test_a_model_that_the_processor_refuses_too_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SessionFailed, match=f"{CPU}: no kernel image"):
        opened(GpuBuild(TENSORRT, CUDA, failing=(TENSORRT, CUDA, CPU)), monkeypatch, tmp_path)


def test_the_whole_chain_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TensorRT itself fails, ONNX Runtime's TensorRT does not load, its CUDA refuses, the processor runs it."""
    bundle = write_tiny_bundle(tmp_path / "b", CNN, [("jetson-orin-nano", Runtime.TENSORRT)])
    build = GpuBuild(TENSORRT, CUDA, silent=(TENSORRT,), failing=(CUDA,))
    monkeypatch.setitem(sys.modules, "onnxruntime", build)  # type: ignore[arg-type]
    installed = {Runtime.TENSORRT, Runtime.ONNXRUNTIME}
    monkeypatch.setitem(variant_choice.choose_variants.__kwdefaults__, "installed", lambda name: name in installed)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="10.3.0"))  # type: ignore[arg-type]
    no_gpu = SimulatedCuda(gpus=0)
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(no_gpu, no_gpu))
    options = SessionOptions(cache_dir=tmp_path)
    with load_model(bundle, options=options) as model:
        told = dict(model.choice.rejected)
        assert model.runtime is Runtime.ONNXRUNTIME
    variant = "jetson-orin-nano-tensorrt-fp32"
    assert list(told) == [
        f"{variant} by tensorrt",
        f"{variant} by onnxruntime's {TENSORRT}",
        f"{variant} by onnxruntime's {CUDA}",
    ]
    assert told[f"{variant} by tensorrt"] == "There is no NVIDIA GPU in this machine."
    installed.remove(Runtime.TENSORRT)
    with load_model(bundle, options=options) as model:
        assert "tensorrt is not installed" in dict(model.choice.rejected)[f"{variant} by tensorrt"]
        assert model.choice.failed == ()


def test_it_is_known_whether_the_processor_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert is_accelerated(session_of(GpuBuild(CUDA), monkeypatch, tmp_path))
    assert not is_accelerated(session_of(GpuBuild(), monkeypatch, tmp_path))
