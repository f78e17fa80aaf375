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
        version: of what is installed; of what is broken, why.
        mend: a command; empty where nothing is wrong.
    """

    part: str
    name: str
    state: State
    version: str
    mend: str

    def to_json(self) -> dict[str, str]:
        return {"part": self.part, "name": self.name, "state": self.state, "version": self.version, "mend": self.mend}


# Part → (module, distribution), extra. The first of several modules that is there counts.
_PACKAGES: tuple[tuple[str, tuple[tuple[str, str], ...], str], ...] = (
    ("agent", (("cv2", "opencv-python-headless"),), "agent"),
    ("agent", (("paho.mqtt", "paho-mqtt"),), "agent"),
    ("agent", (("psutil", "psutil"),), "agent"),
    ("runtime", (("onnxruntime", "onnxruntime"),), "onnx"),
    ("runtime", (("openvino", "openvino"),), "openvino"),
    ("runtime", (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")), "litert"),
    ("runtime", (("tensorrt", "tensorrt"),), "tensorrt"),
    ("convert", (("torch", "torch"),), "torch"),
    ("convert", (("safetensors", "safetensors"),), "torch"),
    ("convert", (("onnx", "onnx"),), "torch"),
    ("convert", (("onnxscript", "onnxscript"),), "torch"),
    ("convert", (("litert_torch", "litert-torch"),), "torch"),
    ("convert", (("ai_edge_quantizer", "ai-edge-quantizer"),), "torch"),
    ("convert", (("tensorrt_rtx", "tensorrt-rtx"),), "tensorrt-rtx"),
    ("evaluate", (("rapidfuzz", "rapidfuzz"),), "evaluate"),
    ("fleet", (("gmqtt", "gmqtt"),), "fleet"),
    ("fleet", (("iotcore", "iotcore"),), "fleet"),
)
# Module → what a child process imports to tell a good build from a broken one (a crash at import, a system library that
# is not there).
_PROBES = {
    "cv2": "cv2",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
    "tensorrt": "tensorrt",
}
_PROBE_TIMEOUT_S = 60.0


def examine() -> list[Finding]:
    """Look at Python, packages, runtimes and tools."""
    findings = [Finding("python", "Python", *_python())]
    findings += [_package(part, choices, extra) for part, choices, extra in _PACKAGES]
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
            if module in _PROBES and (why := _broken(_PROBES[module])):
                return Finding(part, distribution, "broken", why, f"pip install --force-reinstall {distribution}")
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
    except Exception:  # noqa: BLE001  (looking for `a.b` runs `a`, which may raise anything; it is there)
        return True


def _broken(module: str) -> str:
    """Import a module in a child process; say why it fails, or nothing where it works."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs at import"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"killed by signal {-done.returncode} at import"
    return (done.stderr.strip().splitlines() or ["fails at import"])[-1][:120]
