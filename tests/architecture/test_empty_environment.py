"""Every module of the device side imports where nothing but its three required packages is installed.

What needs OpenCV or psutil says so by `MissingExtra`, and by nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from edgesdk_testkit.required import missing

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = ("numpy", "pydantic", "PyYAML")
PROGRAM = """
import importlib, json, pkgutil, sys
from edgesdk_targets.errors import MissingExtra
found = {}
for name in ("edgesdk_targets", "edgesdk_agent"):
    package = importlib.import_module(name)
    for info in pkgutil.walk_packages(package.__path__, name + "."):
        try:
            importlib.import_module(info.name)
            found[info.name] = "ok"
        except MissingExtra as error:
            found[info.name] = "missing " + error.package
        except BaseException as error:
            found[info.name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bare_python() -> Path:
    """A virtual environment with the required packages alone, kept between runs."""
    key = hashlib.sha256(f"{sys.version}{REQUIRED}".encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / f"bare-{key}"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIRED]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"pip cannot install here: {done.stderr.strip().splitlines()[-1:]}")
        (folder / "ready").touch()
    return python


def _printed(python: Path, program: str) -> str:
    """Return what a program prints that sees the device side and nothing else of ours."""
    paths = [str(ROOT / name) for name in ("targets", "device_agent")]
    env = {"PYTHONPATH": os.pathsep.join(paths), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_device_side_imports_in_an_empty_environment(bare_python: Path) -> None:
    found: dict[str, str] = json.loads(_printed(bare_python, PROGRAM))
    assert len(found) > 80
    wrong = {name: what for name, what in found.items() if what != "ok" and not what.startswith("missing ")}
    assert not wrong
    missing = {what.removeprefix("missing ") for what in found.values() if what.startswith("missing ")}
    assert missing == {"opencv-python-headless"}
    # The ground of everything needs neither.
    for name in ("session", "bundle.bundle", "card", "variant_choice", "messages", "decode.decoder", "model"):
        assert found[f"edgesdk_targets.{name}"] == "ok"


def test_reading_vitals_without_psutil_names_the_package(bare_python: Path) -> None:
    # Only a first reading imports it; that it is missing is said before.
    code = (
        "from edgesdk_agent.vitals import VitalsReader\nfrom edgesdk_targets.errors import MissingExtra\n"
        "try: VitalsReader()\nexcept MissingExtra as error: print(error)"
    )
    assert "psutil" in _printed(bare_python, code)


def test_opening_a_bundle_without_its_runtime_names_the_package(bare_python: Path, digits_bundle: Path) -> None:
    code = (
        "from edgesdk_targets.model import load_model\nfrom edgesdk_targets.errors import WrongTarget\n"
        f"try: load_model({str(digits_bundle)!r})\nexcept WrongTarget as error: print(error)"
    )
    assert "pip install 'edgesdk[onnx]'" in _printed(bare_python, code)
