"""The house rules that a machine can check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ("sdk/edgesdk", "targets/edgesdk_targets", "converters/edgesdk_converters", "device_agent/edgesdk_agent")
SOURCES = sorted(path for root in ROOTS for path in (ROOT / root).rglob("*.py"))
MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}


def test_there_is_source_to_look_at() -> None:
    assert len(SOURCES) > 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_short_named_for_its_job_and_says_what_it_does(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_LINES
    assert path.stem not in VAGUE
    assert text.lstrip().startswith('"""'), "a module begins by saying what it is"


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: \d{2} kept, 0 broken", done.stdout), done.stdout


def test_a_broken_contract_is_found(tmp_path: Path) -> None:
    """Negative control: a device module that imports torch, even inside a function, breaks a contract."""
    import shutil

    for folder in ("sdk", "targets", "converters", "device_agent"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    victim = tmp_path / "device_agent/edgesdk_agent/frame.py"
    victim.write_text(victim.read_text() + "\n\ndef _f() -> None:\n    import torch  # noqa\n")
    paths = [str(tmp_path / name) for name in ("sdk", "targets", "converters", "device_agent")]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "edgesdk_agent.frame -> torch" in done.stdout


@pytest.mark.parametrize("module", ["paho", "gmqtt", "psutil", "openvino", "onnxruntime", "ai_edge_litert", "tensorrt"])
def test_a_device_library_is_imported_in_few_places(module: str) -> None:
    allowed = {
        "paho": {"link.py", "paho_client.py"},
        "gmqtt": {"gmqtt_client.py"},
        "psutil": {"vitals.py"},
        "openvino": {"openvino.py"},
        "onnxruntime": {"onnxruntime.py"},
        "ai_edge_litert": {"litert.py"},
        "tensorrt": {"tensorrt.py", "tensorrt_build.py"},
    }[module]
    pattern = re.compile(rf"^\s*(import|from)\s+{module}\b", re.MULTILINE)
    device_side = [p for p in SOURCES if "converters" not in p.parts]
    importing = {p.name for p in device_side if pattern.search(p.read_text("utf-8"))}
    assert importing <= allowed


def test_nothing_tracked_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    here = {str(ROOT), str(Path.home()), sys.prefix}
    private = [f"{path}/".encode() for path in here if len(path) > 1]
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 1 << 20:
            content = path.read_bytes()
            assert not [one for one in private if one in content], name


def test_the_public_face_is_complete() -> None:
    import edgesdk

    for name in edgesdk.__all__:
        assert getattr(edgesdk, name) is not None
    with pytest.raises(AttributeError):
        edgesdk.no_such_name  # noqa: B018
