"""Parity is judged per output and channel group, because one figure over all hides a dead part."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk_converters.proving.parity import MAX_DB, ParityMeter
from edgesdk_targets.target import Precision


def _yolo(rng: np.random.Generator) -> np.ndarray:
    out = np.empty((1, 12, 100), np.float32)
    out[:, :4] = rng.uniform(0, 320, (1, 4, 100))
    out[:, 4:] = rng.uniform(0, 1, (1, 8, 100))
    return out


def test_equal_answers_pass_with_the_highest_figure() -> None:
    meter = ParityMeter(Precision.FP32, "yolov8")
    out = _yolo(np.random.default_rng(0))
    meter.add({"out": out}, {"out": out.copy()})
    result = meter.result()
    assert result.passed
    assert {g.name: g.sqnr_db for g in result.groups} == {"out.boxes": MAX_DB, "out.scores": MAX_DB}


def test_dead_scores_are_seen_although_boxes_drown_them() -> None:
    out = _yolo(np.random.default_rng(0))
    dead = out.copy()
    dead[:, 4:] = 0
    grouped, flat = ParityMeter(Precision.FP16, "yolov8"), ParityMeter(Precision.FP16, None)
    for meter in (grouped, flat):
        meter.add({"out": out}, {"out": dead})
    assert not grouped.result().passed
    assert grouped.result().worst.name == "out.scores"
    # Negative control: without groups the same artifact passes.
    assert flat.result().passed


def test_the_limit_follows_the_precision() -> None:
    rng = np.random.default_rng(1)
    out = rng.normal(0, 10, (1, 1000)).astype(np.float32)
    noisy = out + rng.normal(0, 0.05, out.shape).astype(np.float32)  # about 46 dB
    verdicts = {}
    for precision in (Precision.FP32, Precision.FP16):
        meter = ParityMeter(precision)
        meter.add({"logits": out}, {"logits": noisy})
        verdicts[precision] = meter.result()
    assert verdicts[Precision.FP16].groups[0].sqnr_db == pytest.approx(46, abs=1)
    assert (verdicts[Precision.FP32].passed, verdicts[Precision.FP16].passed) == (False, True)


@pytest.mark.parametrize(("got", "passes"), [(1.15e-4, True), (0.0, False)])
def test_tiny_answers_may_be_rough_but_not_dead(got: float, passes: bool) -> None:
    meter = ParityMeter(Precision.FP16)
    meter.add({"scores": np.full((1, 9), 1e-4, np.float32)}, {"scores": np.full((1, 9), got, np.float32)})
    assert meter.result().passed is passes


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_answers_fail(bad: float) -> None:
    meter = ParityMeter(Precision.FP16)
    wanted = np.ones((1, 3), np.float32)
    got = wanted.copy()
    got[0, 1] = bad
    meter.add({"logits": wanted}, {"logits": got})
    assert not meter.result().passed


def test_another_shape_fails() -> None:
    meter = ParityMeter(Precision.FP32)
    meter.add({"boxes": np.ones((3, 4))}, {"boxes": np.ones((2, 4))})
    assert not meter.result().passed


def test_noise_in_one_of_many_pictures_counts() -> None:
    meter = ParityMeter(Precision.FP32)
    good = np.ones((1, 10), np.float32)
    for _ in range(7):
        meter.add({"logits": good}, {"logits": good})
    meter.add({"logits": good}, {"logits": good + 0.5})
    assert not meter.result().passed
