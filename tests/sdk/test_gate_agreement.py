"""Gates without labels: the float model's own answers are the measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.evaluate.agreement import USUAL
from edgesdk.evaluate.gate import AccuracyGate, AgreementGate
from edgesdk_converters.proving.gate import Gate
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import list_images
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array
from edgesdk_testkit.coloured_models import (
    colour_picture,
    colour_predictor,
    one_scale,
    square_predictor,
    write_colours,
    write_squares,
)


@pytest.fixture(scope="module")
def pictures() -> list[Array]:
    rng = np.random.default_rng(0)
    return [colour_picture(rng, int(rng.integers(0, 6))) for _ in range(200)]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("squares")
    write_squares(folder, 120)
    return list_images(folder / "images")


@pytest.mark.parametrize("task", ["classify", "embed", "regress"])
def test_equal_models_agree_and_harmed_ones_do_not(task: str, pictures: list[Array]) -> None:
    gate: Gate = AgreementGate(pictures)
    reference = colour_predictor(task=task)
    same = gate.judge("same", reference, colour_predictor(lambda v: v * (1 + 1e-6), task=task))
    assert same.passed, same.reason
    swapped = gate.judge("swapped", reference, colour_predictor(task=task, color="bgr"))
    assert swapped.outcome == "fail", swapped.reason
    assert same.report["limits"]["max_drop"] == USUAL[task]  # type: ignore[index]


def test_detections(squares: list[Path]) -> None:
    gate = AgreementGate(squares)
    reference = square_predictor()
    same = gate.judge("same", reference, square_predictor())
    assert same.passed, same.reason
    metrics: Any = same.report["artifact_metrics"]
    assert metrics["f1_agreement"]["value"] == 1.0
    assert gate.judge("one scale", reference, square_predictor(one_scale)).outcome == "fail"
    moved = square_predictor(lambda o: {**o, "boxes": o["boxes"] + 40})
    assert gate.judge("moved", reference, moved).outcome == "fail"


def test_detections_that_change_a_little_need_not_fail(squares: list[Path]) -> None:
    shifted = square_predictor(lambda o: {**o, "scores": o["scores"] * 0.8})
    verdict = AgreementGate(squares).judge("a", square_predictor(), shifted)
    assert verdict.passed, verdict.reason
    assert verdict.report["drop"]["value"] > 0  # type: ignore[index]


def test_texts(pictures: list[Array]) -> None:
    def word(image: Array) -> Text:
        return Text(f"word {int(image[0, 0, 0])}", 0.9)

    gate = AgreementGate(pictures)
    assert gate.judge("same", word, word).passed
    verdict = gate.judge("deaf", word, lambda _: Text("", 0.0))
    assert verdict.outcome == "fail"
    assert "characters_apart" in verdict.reason
    with pytest.raises(InputError, match="reads nothing"):
        AgreementGate(pictures).judge("a", lambda _: Text("", 0.0), word)


def test_few_pictures_are_no_proof(pictures: list[Array]) -> None:
    verdict = AgreementGate(pictures[:20]).judge("a", colour_predictor(), colour_predictor())
    assert verdict.outcome == "need more samples"
    assert verdict.needed is not None
    assert 50 <= verdict.needed <= 70


def test_copies_of_a_picture_count_once(pictures: list[Array]) -> None:
    verdict = AgreementGate(pictures[:20] * 10).judge("a", colour_predictor(), colour_predictor())
    assert (verdict.report["pictures"], verdict.report["independent"]) == (200, 20)
    assert not verdict.passed


def test_pictures_that_come_only_in_order(pictures: list[Array], tmp_path: Path) -> None:
    """As a calibration set: re-iterable, with a length, decoded when asked for."""

    class Shelf:
        def __len__(self) -> int:
            return len(pictures)

        def __iter__(self) -> Any:
            return iter(pictures)

    gate = AgreementGate(Shelf(), report=tmp_path / "page.html")
    assert gate.judge("swapped", colour_predictor(), colour_predictor(color="bgr")).outcome == "fail"
    assert "picture 1" in (tmp_path / "page.html").read_text()


def test_no_pictures() -> None:
    with pytest.raises(InputError, match="no pictures"):
        AgreementGate([])


def test_a_detector_that_finds_nothing(squares: list[Path]) -> None:
    blind = square_predictor(lambda o: {**o, "scores": o["scores"] * 0})
    with pytest.raises(InputError, match="finds nothing"):
        AgreementGate(squares).judge("a", blind, square_predictor())


def test_agreement_is_not_accuracy(tmp_path: Path) -> None:
    """Both right and wrong answers may be lost: an artifact that is right where the float model errs disagrees."""
    write_colours(tmp_path, 300)
    agreement = AgreementGate(list_images(tmp_path / "images"))
    better = colour_predictor(lambda logits: logits + np.asarray([0, 0, 0, 0.4, 0, 0]))
    drop: Any = agreement.judge("a", colour_predictor(), better).report["drop"]
    assert drop["value"] > 0
    assert AccuracyGate is not AgreementGate
