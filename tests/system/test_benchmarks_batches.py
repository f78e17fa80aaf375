"""The benchmark of batches: what it measures is the same model, and a batch whose answers are others is no row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import PIXELS

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("benchmarks_path")]


@pytest.fixture
def case(tmp_path: Path, benchmarks_path: None) -> Any:
    import batches
    from batch_load.artifact import artifacts_of

    # The files are read when the lanes are opened.
    with artifacts_of(write_tiny_bundle(tmp_path / "tiny.edgebundle", PIXELS)) as (artifact, *_):
        yield batches.Case("tiny", artifact, "one lane, one thread")


def test_each_batch_is_measured_beside_one_picture_at_a_time(case: Any) -> None:
    case.open()
    assert case.refused == {}
    for _ in range(2):
        case.measure(0.02)
    row = case.to_json()
    assert row["batch_1"]["rate_ratio"] == row["batch_1"]["cpu_saved_ratio"] == 1
    assert row["batch_2"]["per_s"] > 0
    assert row["batch_4"]["worst"] <= row["batch_4"]["rate_ratio"] <= row["batch_4"]["best"]


def test_a_batch_that_answers_otherwise_or_cannot_be_is_a_row_with_its_reason(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sys.modules["batches"].opened

    def wrong(artifact: Any, batch: int, streams: int, threads: int) -> Any:
        if batch == 4:
            raise ValueError("no such form")
        (lane,) = opened(artifact, batch, streams, threads)
        answers = lane.answers
        return [type(lane)(lane.write, lane.run, lambda: [one + (batch == 2) * np.float32(0.5) for one in answers()])]

    monkeypatch.setattr("batches.opened", wrong)
    case.open()
    case.measure(0.02)
    row = case.to_json()
    assert row["batch_2"] == {"why_not": "its answers differ from those to each picture alone"}
    assert row["batch_4"] == {"why_not": "ValueError: no such form"}
