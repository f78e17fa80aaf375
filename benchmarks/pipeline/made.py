"""The circumstances of a run: without them its figures mean nothing."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
from importlib import metadata

from edgesdk.benchmark.host import host_facts
from pipeline.contestants import interpreter

_PACKAGES = ("openvino", "onnxruntime", "ai-edge-litert", "opencv-python-headless", "numpy", "paho-mqtt")
_PEERS = {
    "loops": ("openvino-model-api", "imutils", "vidgear", "openvino", "opencv-python-headless"),
    "roboflow": ("inference", "torch", "openvino", "opencv-python", "opencv-python-headless"),
}


def made(options: argparse.Namespace, broker: str) -> dict[str, object]:
    """Return date, command, host and versions."""
    host = host_facts().to_json()
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "rounds": options.rounds,
        "quick": options.quick,
        "guarded": not options.no_guard,
        "broker": broker,
        "host": {name: host[name] for name in ("cpu", "arch", "cores", "system", "python")},
        "versions": {name: _version(name) for name in _PACKAGES},
        "peers": {environment: _versions_in(environment, names) for environment, names in _PEERS.items()},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _versions_in(environment: str, names: tuple[str, ...]) -> dict[str, str]:
    python = interpreter(environment)
    if not python.exists():
        return {}
    code = (
        "import sys\nfrom importlib import metadata as m\nfor n in sys.argv[1:]:\n"
        " try: print(n, m.version(n))\n except m.PackageNotFoundError: pass"
    )
    done = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=False)
    return dict(line.split() for line in done.stdout.splitlines())
