"""A bundle's LiteRT variant in the environment of a 32-bit board: tflite-runtime, numpy 1.26, OpenCV 4.

`ai-edge-litert` has no wheel for those boards; `tflite-runtime` was last released in 2023 and needs numpy below 2. The
environment is made once by pip under `.cache/`, and holds nothing else of ours but the sources.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_targets.model import load_model
from edgesdk_targets.target import Runtime
from edgesdk_testkit.required import missing
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, PIXELS, STREAM, TinyModel

pytestmark = [pytest.mark.system, pytest.mark.long]
PACKAGES = ("numpy==1.26.4", "tflite-runtime==2.14.0", "opencv-python-headless<5", "pydantic>=2.11", "PyYAML>=6")
# tflite-runtime has no wheel for a later Python.
NEWEST_PYTHON = (3, 11)
RUN = """
import json, sys
import cv2, numpy
from edgesdk_targets.model import load_model
with load_model(sys.argv[1], target="rpi5") as model:
    answers = []
    slots = model.slots(2)
    for number, path in enumerate(sys.argv[2:]):
        slots[number % 2].prepare(cv2.imread(path))
        answers.append(slots[number % 2].infer("a", number).to_json())
loaded = sorted(n for n in ("torch", "onnx", "onnxruntime", "ai_edge_litert", "tflite_runtime") if n in sys.modules)
print(json.dumps({"answers": answers, "numpy": numpy.__version__, "cv2": cv2.__version__, "loaded": loaded}))
"""


@pytest.fixture(scope="session")
def old_python(root: Path) -> Path:
    """The interpreter of an environment with these packages alone."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        pytest.skip(f"tflite-runtime has no wheel for Python {sys.version_info[0]}.{sys.version_info[1]}")
    name = hashlib.sha256("\n".join((sys.version, *PACKAGES)).encode()).hexdigest()[:12]
    folder = root / ".cache" / "environments" / f"tflite-{name}"
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        command = [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *PACKAGES,
        ]
        pip = subprocess.run(command, capture_output=True, text=True, check=False)
        if pip.returncode:
            missing(f"pip cannot install tflite-runtime here: {pip.stderr.strip().splitlines()[-1]}")
        done.write_text("\n".join(PACKAGES))
    return folder / "bin" / "python"


def run(python: Path, root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(root / source) for source in ("targets", "device_agent"))
    return subprocess.run(
        [python, "-W", "error", "-c", RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize("model", [CNN, PIXELS, STREAM], ids=lambda model: model.name)
def test_the_answers_are_those_of_ai_edge_litert(
    model: TinyModel, old_python: Path, root: Path, tmp_path: Path
) -> None:
    bundle = write_tiny_bundle(tmp_path / "a.edgebundle", model, variants=(("rpi5", Runtime.LITERT),))
    random, pictures = np.random.default_rng(1), []
    for number in range(6):
        pictures.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(pictures[-1]), random.integers(0, 256, (40, 50, 3), np.uint8))
    done = run(old_python, root, bundle, *pictures)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["loaded"] == ["tflite_runtime"]
    assert told["numpy"].startswith("1.26.")
    assert told["cv2"].startswith("4.")
    with load_model(bundle, target="rpi5") as here:
        for answer, picture in zip(told["answers"], pictures, strict=True):
            expected = here(picture).to_json()
            ours, theirs = ({c["label"]: c["score"] for c in a["classes"]} for a in (expected, answer))
            # OpenCV 4 and 5 may round a resized pixel differently.
            assert ours == pytest.approx(theirs, abs=5e-3)


def test_a_newer_numpy_is_named_as_the_reason(old_python: Path, root: Path, tmp_path: Path) -> None:
    """The library imports under numpy 2 and fails afterwards, with a message that says nothing."""
    bundle = write_tiny_bundle(tmp_path / "a.edgebundle", CNN, variants=(("rpi5", Runtime.LITERT),))
    newer = old_python.parents[1] / "numpy2"
    if not (newer / "numpy").is_dir():
        command = [old_python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", newer, "numpy==2.2.6"]
        pip = subprocess.run(command, capture_output=True, text=True, check=False)
        if pip.returncode:
            missing(f"pip cannot install numpy 2 here: {pip.stderr.strip().splitlines()[-1]}")
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(newer)!r})\n"
        "from edgesdk_targets.bundle.bundle import open_bundle\n"
        "from edgesdk_targets.session import open_session\n"
        "from edgesdk_targets.errors import SessionFailed\n"
        "bundle = open_bundle(sys.argv[1])\n"
        "try:\n"
        "    open_session(bundle, bundle.manifest.variants[0])\n"
        "except SessionFailed as error:\n"
        "    print(error.message, error.hint)\n"
    )
    done = subprocess.run(
        [old_python, "-c", script, bundle],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root / "targets")},
    )
    assert "tflite_runtime does not work with numpy 2.2.6" in done.stdout, done.stderr
    assert "numpy<2" in done.stdout
