"""The benchmark of how ONNX Runtime's threads wait, on a small model."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN

pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("benchmarks_path")]


def test_each_way_is_a_row_and_a_pace_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spinning

    monkeypatch.setitem(spinning.MODELS, "small", "fp32")
    path = write_tiny_bundle(tmp_path / "small.edgebundle", CNN, (("generic-onnx", Runtime.ONNXRUNTIME),))
    rows = list(spinning.measured("small", path, rounds=2, seconds=0.05))
    assert [(row.spin, row.threads, row.streams, row.fps) for row in rows] == [
        (spin, *way) for way in spinning.WAYS for spin in ("always", "within", "never")
    ]
    for row in rows:
        assert 0 < row.p50_ms <= row.p95_ms
        # A camera's pace is waited for; without one there are far more.
        assert row.per_s <= spinning.FPS * 1.5 if row.fps else row.per_s > spinning.FPS
    assert spinning.table(rows).count("\n") == len(rows) + 1
