"""Readers: character errors and whole texts through the gate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk_converters.proving.gate import Verdict
from edgesdk_targets.results import Result, Text
from edgesdk_targets.tensor import Array

COUNT = 320


def words() -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("abcdefghij"), rng.integers(3, 9))) for _ in range(COUNT)]


def number(image: Array) -> int:
    return int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])


def reader(read: list[str]) -> object:
    def predict(image: Array) -> Result:
        return Text(read[number(image)], 0.9)

    return predict


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(1)
    for i in range(COUNT):
        image = rng.integers(0, 256, (12, 30, 3)).astype(np.uint8)
        image[0, 0] = (i % 256, i // 256, 0)
        cv2.imwrite(str(folder / f"{i:04d}.png"), image)
    return folder


def judged(
    rows: Path, truth: list[str], before: list[str], after: list[str], *, labels: str = "", **options: float
) -> Verdict:
    lines = [f"{i:04d}.png,{text}" for i, text in enumerate(truth)]
    (rows / "labels.csv").write_text("file,text\n" + "\n".join(lines) + "\n")
    gate = AccuracyGate(open_dataset(rows, task="text", labels=tuple(labels)), **options)  # type: ignore[arg-type]
    return gate.judge("a", reader(before), reader(after))  # type: ignore[arg-type]


def slightly_wrong(texts: list[str], every: int) -> list[str]:
    return [text[:-1] + "x" if i % every == 0 else text for i, text in enumerate(texts)]


def test_the_same_reader_passes(rows: Path) -> None:
    read = slightly_wrong(words(), 12)
    verdict = judged(rows, words(), read, list(read))
    assert verdict.passed, verdict.reason
    assert "cer did not change" in verdict.reason


def test_a_worse_reader_fails(rows: Path) -> None:
    verdict = judged(rows, words(), slightly_wrong(words(), 12), slightly_wrong(words(), 2))
    assert verdict.outcome == "fail"
    assert "cer rose by" in verdict.reason


def test_whole_texts_fail_where_characters_alone_would_not(rows: Path) -> None:
    """One letter in every third word is six points of characters, and thirty-three of words."""
    verdict = judged(rows, words(), words(), slightly_wrong(words(), 3), max_drop=0.1)
    assert verdict.report["drop"]["outcome"] == "pass"  # type: ignore[index]
    assert verdict.outcome == "fail"
    assert "word_accuracy fell by" in verdict.reason


def test_texts_that_slipped_by_a_row(rows: Path) -> None:
    truth = words()
    verdict = judged(rows, [truth[-1], *truth[:-1]], truth, truth)
    assert verdict.outcome == "fail"
    assert "slipped by one" in verdict.reason


def test_labels_of_something_else(rows: Path) -> None:
    verdict = judged(rows, ["0123456789"] * COUNT, words(), words())
    assert verdict.outcome == "fail"
    assert "reads next to nothing" in verdict.reason


def test_characters_that_never_occur_are_named(rows: Path) -> None:
    said = [
        [
            warning
            for warning in judged(rows, words(), words(), words(), labels=labels).report["warnings"]
            if "never" in warning
        ]  # type: ignore[attr-defined]
        for labels in ("abcdefghij", "abcdefghij 9")
    ]
    assert said[0] == []
    assert said[1][0].startswith("2 of 12 characters never occur in the data: ' ', '9'; nothing is known about them")
