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
    # A camera's pace is waited for; without one there are far more. A machine that stalls cannot do so in all of them.
    paced, others = [row.per_s for row in rows if row.fps], [row.per_s for row in rows if not row.fps]
    assert min(paced) < 1.5 * spinning.FPS
    assert max(others) > 2 * min(paced)
    assert spinning.table(rows).count("\n") == len(rows) + 1
