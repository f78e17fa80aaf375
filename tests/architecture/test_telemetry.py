"""Nothing that edgesdk runs reports to anybody: ONNX Runtime's telemetry is off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
_SETTING = "ORT_DISABLE_TELEMETRY"


def _left_behind(code: str, place: Path, **more: str) -> list[str]:
    """Return the files that a process leaves in folders of its own."""
    folders = {"HOME": place / "home", "XDG_CACHE_HOME": place / "cache", "TMPDIR": place / "temporary"}
    for folder in folders.values():
        folder.mkdir(parents=True)
    environment = {k: v for k, v in os.environ.items() if k != _SETTING}
    environment |= {name: str(folder) for name, folder in folders.items()} | more
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, cwd=place)
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir())


def test_onnx_runtime_leaves_no_identifier_and_reports_nothing(tmp_path: Path) -> None:
    assert _left_behind("import edgesdk_targets, onnxruntime", tmp_path / "ours") == []
    # A child process that imports nothing of ours inherits it.
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import onnxruntime'], check=True)"
    assert _left_behind(f"import edgesdk_targets\n{child}", tmp_path / "child") == []
    # Controls: without ours there are such files, and who wants them can have them.
    alone = _left_behind("import onnxruntime", tmp_path / "alone")
    if not alone:
        pytest.skip("this build of ONNX Runtime leaves nothing behind in any case")
    assert any("deviceid" in name for name in alone)
    wanted = _left_behind("import edgesdk_targets, onnxruntime", tmp_path / "wanted", **{_SETTING: "0"})
    assert wanted
