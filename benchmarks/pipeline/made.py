"""The circumstances of a run: without them its figures mean nothing."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
from importlib import metadata

from edgesdk import __version__
from edgesdk.benchmark.host import host_facts
from pipeline.artifacts import ROOT
from pipeline.contestants import interpreter
from pipeline.findings import Findings

# What a commit says of what is measured; results and pages are written meanwhile.
_MEASURED = ("sdk", "converters", "device_agent", "targets", "tests/support", "benchmarks/*.py", "benchmarks/**/*.py")
_PACKAGES = ("openvino", "onnxruntime", "ai-edge-litert", "opencv-python-headless", "numpy", "paho-mqtt")
_PEERS = {
    "loops": ("openvino-model-api", "imutils", "vidgear", "openvino", "opencv-python-headless"),
    "roboflow": ("inference", "torch", "openvino", "opencv-python", "opencv-python-headless"),
}


def made(options: argparse.Namespace, broker: str, found: Findings) -> dict[str, object]:
    """Return date, command, host, versions, and of which commit they are: `+` where files were not as committed."""
    host = host_facts().to_json()
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "edgesdk": __version__,
        "commit": _commit(),
        "rounds": options.rounds,
        "quick": options.quick,
        "guarded": not options.no_guard if found.guarded else "not needed",
        "broker": broker,
        "host": {name: host[name] for name in ("cpu", "arch", "cores", "system", "python")},
        "versions": {name: _version(name) for name in _PACKAGES},
        "peers": {environment: _versions_in(environment, names) for environment, names in _PEERS.items()},
    }


def _commit() -> str:
    try:
        commit = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *_MEASURED)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+" if changed else commit


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


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
