"""The authors' own files, counted: their figures are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_converters.preflight.facts import facts_of
from edgesdk_converters.preflight.read_graph import read_graph
from edgesdk_targets.target import Precision

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("file", "macs", "megabytes"),
    [
        # Its authors say 90 to 109 MFlops, meaning MACs, and 1.1 MB for this model without the anchors.
        ("face/ultraface_rfb_320.onnx", 100_418_560, (1.1, 1.3)),
        ("detection_coco/fastestdet_coco.onnx", 121_491_744, (0.95, 1.0)),
    ],
)
def test_work_and_size(file: str, macs: int, megabytes: tuple[float, float], assets: Path) -> None:
    graph = read_graph((assets / file).read_bytes())
    facts = facts_of("m", "detect", graph)
    assert facts.macs.total == macs
    assert facts.macs.uncounted == ()
    assert (facts.memory.unknown, facts.faults, facts.notes) == (0, (), ())
    assert megabytes[0] < facts.model_bytes(Precision.FP32) / 1e6 < megabytes[1]
    # What the file holds beside its numbers is its graph.
    assert 0 < (assets / file).stat().st_size - facts.model_bytes(Precision.FP32) < 100_000
