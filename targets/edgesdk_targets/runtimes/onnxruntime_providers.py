"""Which of ONNX Runtime's providers run a model here: TensorRT → CUDA → CPU, and why not an earlier one.

Rule: a provider that does not start is told, with its reason. ONNX Runtime itself goes on with the next in silence (its
library does not load), or with a line on stdout (it fails with this model); so what was asked for is compared with what
the session says it has, and its own way of falling back is turned off.
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.nvidia_driver import nvidia_driver
from edgesdk_targets.runtimes.tensorrt_engine import EnginePlatform
from edgesdk_targets.session import Load, failed
from edgesdk_targets.target import Precision, Runtime

NAME = "ONNX Runtime"
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
_KEPT_FILES = 16
PassedOver = tuple[tuple[str, str], ...]


def start(onnxruntime: Any, load: Load, options: Any) -> tuple[Any, PassedOver]:
    """Open the library's session with the fastest provider that works.

    Returns:
        The session, and (provider, reason) of the faster ones.

    Raises:
        SessionFailed: the processor's provider refuses the model too.
    """
    listed = onnxruntime.get_available_providers()
    wanted = [TENSORRT, CUDA, CPU] if load.variant.runtime is Runtime.TENSORRT else [CUDA, CPU]
    passed_over: list[tuple[str, str]] = []
    if load.variant.runtime is Runtime.TENSORRT:
        # Who converted for a GPU is told why there is none; on any other machine that is no news.
        reason = "this build of onnxruntime does not have it (the package onnxruntime-gpu does)"
        passed_over += [(name, reason) for name in wanted if name not in listed]
    chain = [name for name in wanted if name in listed]
    while True:
        try:
            with load.options.building() if TENSORRT in chain else nullcontext():
                session = onnxruntime.InferenceSession(
                    load.files["model"],
                    options,
                    providers=[(name, _settings(name, load, onnxruntime.__version__)) for name in chain],
                    enable_fallback=0,
                )
        except Exception as error:  # the library raises a class of its own for each status
            refused = failed(NAME, "load the model", error)
            if len(chain) < 2:
                raise refused from error
            passed_over.append((chain.pop(0), refused.message))
            continue
        running = session.get_providers()
        passed_over += [(name, _why_silent()) for name in chain if name not in running]
        return session, tuple(passed_over)


def _settings(provider: str, load: Load, version: str) -> dict[str, str]:
    if provider == CUDA:
        # Its default for fp32 is TF32, which has ten bits of mantissa.
        return {"use_tf32": "0"}
    if provider != TENSORRT:
        return {}
    folder = str(_engines(load.options.cache_dir or default_cache_dir(), version))
    precision = load.variant.precision
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
        # A licence, not an order: the types are those of the graph.
        "trt_fp16_enable": "1" if precision is Precision.FP16 else "0",
        "trt_int8_enable": "1" if precision in {Precision.INT8, Precision.MIXED} else "0",
    }


def _engines(cache: Path, version: str) -> Path:
    """Return the folder of the engines that this version builds with this driver; others' go, and the oldest of many."""
    platform = EnginePlatform("onnxruntime", version, "", "", nvidia_driver())
    folder = cache / "engines" / platform.folder
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.glob("onnxruntime-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT_FILES:]:
        path.unlink(missing_ok=True)
    return folder


def _why_silent() -> str:
    if not nvidia_driver():
        return "it did not start: there is no NVIDIA driver on this machine"
    return "it did not start: its CUDA, cuDNN or TensorRT libraries are missing, or of another version than it needs"
