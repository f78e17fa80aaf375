"""What is installed here, what is missing, and the line that mends it. Nothing heavy is imported to find out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: which part of edgesdk needs it.
        mend: a command; empty where nothing is wrong.
    """

    part: str
    name: str
    state: State
    version: str
    mend: str

    def to_json(self) -> dict[str, str]:
        return {"part": self.part, "name": self.name, "state": self.state, "version": self.version, "mend": self.mend}


# Part → (module, distribution, extra). The first of several modules that is there counts.
_PACKAGES: tuple[tuple[str, tuple[tuple[str, str], ...], str], ...] = (
    ("agent", (("cv2", "opencv-python-headless"),), "agent"),
    ("agent", (("paho.mqtt", "paho-mqtt"),), "agent"),
    ("agent", (("psutil", "psutil"),), "agent"),
    ("runtime", (("onnxruntime", "onnxruntime"),), "onnx"),
    ("runtime", (("openvino", "openvino"),), "openvino"),
    ("runtime", (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")), "litert"),
    ("runtime", (("tensorrt", "tensorrt"),), "tensorrt"),
    ("convert", (("torch", "torch"),), "torch"),
    ("convert", (("onnx", "onnx"),), "torch"),
    ("convert", (("onnxscript", "onnxscript"),), "torch"),
    ("convert", (("onnx2torch", "onnx2torch"),), "torch"),
    ("convert", (("litert_torch", "litert-torch"),), "torch"),
    ("convert", (("ai_edge_quantizer", "ai-edge-quantizer"),), "torch"),
    ("convert", (("tensorrt_rtx", "tensorrt-rtx"),), "tensorrt-rtx"),
    ("evaluate", (("rapidfuzz", "rapidfuzz"),), "evaluate"),
    ("fleet", (("gmqtt", "gmqtt"),), "fleet"),
    ("fleet", (("iotcore", "iotcore"),), "fleet"),
)
# Importing these in a child tells a broken build (a crash at import) from a good one.
_RUNTIMES = ("onnxruntime", "openvino", "ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorrt")
_PROBE_TIMEOUT_S = 60.0


def examine() -> list[Finding]:
    """Look at Python, packages, runtimes and tools."""
    findings = [Finding("python", "Python", *_python())]
    findings += [_package(part, choices, extra) for part, choices, extra in _PACKAGES]
    findings += [f for f in (_probe(module) for module in _RUNTIMES if _is_there(module.split(".")[0])) if f]
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")
    mend = "" if mosquitto or _is_there("iotcore") else "apt install mosquitto, or pip install 'edgesdk[fleet]'"
    state: State = "ok" if mosquitto else "missing"
    findings.append(
        Finding("fleet", "mosquitto (broker)", state, mosquitto or "iotcore stands in" if not mend else "", mend)
    )
    return findings


def _python() -> tuple[State, str, str]:
    version = platform.python_version()
    if sys.version_info < (3, 10):  # noqa: UP036  (told, where someone forces an install)
        return "broken", version, "use Python 3.10 or newer"
    return "ok", version, ""


def _package(part: str, choices: tuple[tuple[str, str], ...], extra: str) -> Finding:
    for module, distribution in choices:
        if _is_there(module):
            try:
                version = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                version = "from the system"
            return Finding(part, distribution, "ok", version, "")
    return Finding(part, choices[0][1], "missing", "", f"pip install 'edgesdk[{extra}]'")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _probe(module: str) -> Finding | None:
    """Import a runtime in a child process; a finding only where it fails."""
    name = module.split(".")[0]
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding("runtime", f"{name} (import)", "broken", "hangs", f"pip install --force-reinstall {name}")
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    why = f"killed by signal {-done.returncode}" if done.returncode < 0 else (lines[-1] if lines else "fails")
    return Finding("runtime", f"{name} (import)", "broken", why[:120], f"pip install --force-reinstall {name}")
