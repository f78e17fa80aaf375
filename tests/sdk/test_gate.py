"""Accuracy gates: what is harmed is refused, what is not is passed, and what cannot be known is not passed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.evaluate.answers import Answers, collect, paths_of
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk_converters.proving.gate import Gate, Verdict
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Result
from edgesdk_targets.tensor import Array
from edgesdk_testkit.coloured_models import (
    COLOURS,
    colour_predictor,
    one_scale,
    square_predictor,
    write_colours,
    write_labels,
    write_squares,
)

COUNT = 600


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    # The last class is rare: lost wholly, it costs less than two points.
    write_colours(folder, COUNT, shares=(0.25, 0.25, 0.2, 0.15, 0.13, 0.02))
    return folder


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    write_squares(folder, 320)
    return folder


@pytest.fixture(scope="module")
def judge_squares(squares: Path) -> Callable[..., Verdict]:
    """Judge a change of the detector; the float model's answers are kept between the tests."""
    gate = AccuracyGate(open_dataset(squares, task="detect", labels=COLOURS[:3]))
    reference = square_predictor()
    return lambda change=None: gate.judge("artifact", reference, square_predictor(change))


def judged(data: Path, reference: Any, artifact: Any, task: str = "classify", **options: Any) -> Verdict:
    labels = COLOURS if task == "classify" else COLOURS[:3]
    gate: Gate = AccuracyGate(open_dataset(data, task=task, labels=labels), **options)
    return gate.judge("artifact", reference, artifact)


def without(class_id: int) -> Callable[[Array], Array]:
    """Kill one class."""

    def change(logits: Array) -> Array:
        changed = logits.copy()
        changed[class_id] = -100
        return changed

    return change


def nudge(logits: Array) -> Array:
    return logits * (1 + 1e-6)


class TestUnharmed:
    def test_the_same_model_passes(self, colours: Path) -> None:
        verdict = judged(colours, colour_predictor(), colour_predictor())
        assert verdict.passed, verdict.reason
        assert "did not change" in verdict.reason
        assert 0.8 < verdict.report["reference_metrics"]["top1"]["value"] < 0.99  # type: ignore[index]

    def test_so_does_the_same_detector(self, judge_squares: Callable[..., Verdict]) -> None:
        verdict = judge_squares()
        assert verdict.passed, verdict.reason
        assert 0.8 < verdict.report["reference_metrics"]["ap50"]["value"] < 0.999  # type: ignore[index]

    @pytest.mark.parametrize("change", [None, nudge], ids=["identical", "perturbed"])
    def test_in_200_of_200_samples(self, colours: Path, change: Callable[[Array], Array] | None) -> None:
        dataset = open_dataset(colours, task="classify", labels=COLOURS)
        before = collect(colour_predictor(), paths_of(dataset))
        after = collect(colour_predictor(change), paths_of(dataset))
        assert passes_of_200(dataset, before, after, 320) == 200

    def test_in_200_of_200_samples_of_a_detector(self, squares: Path) -> None:
        dataset = open_dataset(squares, task="detect", labels=COLOURS[:3])
        nudged = square_predictor(lambda o: {"boxes": o["boxes"] + 1e-3, "scores": o["scores"] * (1 - 1e-6)})
        before = collect(square_predictor(), paths_of(dataset))
        after = collect(nudged, paths_of(dataset))
        assert passes_of_200(dataset, before, after, 60, max_drop=0.06) == 200


def passes_of_200(dataset: Dataset, before: Answers, after: Answers, count: int, max_drop: float = 0.01) -> int:
    passed = 0
    for seed in range(200):
        places = np.random.default_rng(seed).choice(len(dataset), count, replace=False).tolist()
        part = Dataset(dataset.task, dataset.labels, tuple(dataset.samples[i] for i in places))
        passed += (
            AccuracyGate(part, max_drop=max_drop).judge_answers("a", before.only(places), after.only(places)).passed
        )
    return passed


class TestFaults:
    """Negative controls: each of these must be refused."""

    def test_one_dead_class(self, colours: Path) -> None:
        verdict = judged(colours, colour_predictor(), colour_predictor(without(0)))
        assert verdict.outcome == "fail"
        assert "red" in verdict.reason

    def test_a_rare_dead_class_fails_though_the_mean_may_drop_so_far(self, colours: Path) -> None:
        verdict = judged(colours, colour_predictor(), colour_predictor(without(5)), max_drop=0.06)
        assert verdict.report["drop"]["outcome"] == "pass"  # type: ignore[index]
        assert verdict.outcome == "fail"
        assert "Classes are lost: teal" in verdict.reason

    def test_swapped_channels(self, colours: Path) -> None:
        verdict = judged(colours, colour_predictor(), colour_predictor(color="bgr"))
        assert verdict.outcome == "fail"
        assert "top1 fell by" in verdict.reason

    def test_wrong_mean(self, colours: Path) -> None:
        assert judged(colours, colour_predictor(), colour_predictor(mean=180)).outcome == "fail"

    @pytest.mark.parametrize("max_drop", [0.01, 0.3])
    def test_labels_that_slipped_by_a_row(self, colours: Path, tmp_path: Path, max_drop: float) -> None:
        """The artifact is the float model itself: it loses nothing against labels that are wrong for both."""
        (tmp_path / "images").symlink_to(colours / "images")
        rows = [s.accepted for s in open_dataset(colours, task="classify", labels=COLOURS).samples]  # type: ignore[union-attr]
        classes = [next(iter(a)) for a in rows]
        write_labels(tmp_path, [classes[-1], *classes[:-1]])
        verdict = judged(tmp_path, colour_predictor(), colour_predictor(), max_drop=max_drop)
        assert verdict.outcome == "fail"
        assert "labels do not belong" in verdict.reason

    def test_labels_that_slipped_half_way(self, colours: Path, tmp_path: Path) -> None:
        (tmp_path / "images").symlink_to(colours / "images")
        rows = [s.accepted for s in open_dataset(colours, task="classify", labels=COLOURS).samples]  # type: ignore[union-attr]
        classes = [next(iter(a)) for a in rows]
        write_labels(tmp_path, [*classes[:300], classes[299], *classes[300:-1]])
        verdict = judged(tmp_path, colour_predictor(), colour_predictor())
        assert verdict.outcome == "fail"
        assert "slipped by one" in verdict.reason

    def test_labels_counted_from_one(self, colours: Path, tmp_path: Path) -> None:
        (tmp_path / "images").symlink_to(colours / "images")
        rows = [s.accepted for s in open_dataset(colours, task="classify", labels=COLOURS).samples]  # type: ignore[union-attr]
        write_labels(tmp_path, [(next(iter(a)) + 1) % 6 for a in rows])
        verdict = judged(tmp_path, colour_predictor(), colour_predictor())
        assert verdict.outcome == "fail"
        assert "counted from another number" in verdict.reason

    def test_boxes_that_slipped_by_a_file(self, squares: Path, tmp_path: Path) -> None:
        (tmp_path / "images").symlink_to(squares / "images")
        (tmp_path / "labels").mkdir()
        texts = [p.read_text() for p in sorted((squares / "labels").glob("*.txt"))]
        for i, text in enumerate([texts[-1], *texts[:-1]]):
            (tmp_path / "labels" / f"{i:04d}.txt").write_text(text)
        verdict = judged(tmp_path, square_predictor(), square_predictor(), "detect")
        assert verdict.outcome == "fail"
        assert "labels do not belong" in verdict.reason

    def test_one_scale_over_boxes_and_scores(self, judge_squares: Callable[..., Verdict]) -> None:
        verdict = judge_squares(one_scale)
        assert verdict.outcome == "fail"
        assert "ap50 fell by" in verdict.reason

    def test_scores_that_shrank_keep_their_ranks_and_fail_at_the_threshold(
        self, judge_squares: Callable[..., Verdict]
    ) -> None:
        verdict = judge_squares(lambda o: {**o, "scores": o["scores"] * 0.24})
        assert verdict.report["drop"]["outcome"] == "pass"  # type: ignore[index]
        assert verdict.outcome == "fail"
        assert "f1 fell by" in verdict.reason
        warnings: Any = verdict.report["warnings"]
        assert any("distribution" in warning for warning in warnings)

    def test_one_dead_class_of_a_detector(self, judge_squares: Callable[..., Verdict]) -> None:
        def deaf(outputs: dict[str, Array]) -> dict[str, Array]:
            outputs["scores"][..., 1] = 0
            return outputs

        verdict = judge_squares(deaf)
        assert verdict.outcome == "fail"
        assert "green" in verdict.reason

    def test_answers_that_are_no_numbers(self, colours: Path) -> None:
        calls = iter(range(10_000))

        def sometimes(logits: Array) -> Array:
            return logits * np.nan if next(calls) == 7 else logits

        verdict = judged(colours, colour_predictor(), colour_predictor(sometimes))
        assert verdict.outcome == "fail"
        assert f"1 of {COUNT} answers are no numbers" in verdict.reason
        json.dumps(verdict.report, allow_nan=False)


class TestWhatCannotBeKnown:
    def test_too_few_samples_are_no_pass(self, tmp_path: Path) -> None:
        write_colours(tmp_path, 100)
        gate = AccuracyGate(open_dataset(tmp_path, task="classify", labels=COLOURS))
        assert "about 300 are needed" in gate.warnings[0]
        verdict = gate.judge("a", colour_predictor(), colour_predictor())
        assert verdict.outcome == "need more samples"
        assert not verdict.passed
        assert verdict.needed is not None
        assert 290 <= verdict.needed <= 330
        assert f"{verdict.needed - 100} more" in verdict.reason

    def test_as_many_as_it_says_are_enough(self, tmp_path: Path) -> None:
        write_colours(tmp_path, 310)
        assert judged(tmp_path, colour_predictor(), colour_predictor()).passed

    def test_frames_of_one_video_count_once(self, tmp_path: Path) -> None:
        """Ten frames each of forty videos: forty samples, however many pictures there are."""
        classes = write_colours(tmp_path, 400)
        rows = [f"{i:04d}.png,{COLOURS[c]},video {i // 10}" for i, c in enumerate(classes)]
        (tmp_path / "labels.csv").write_text("file,label,group\n" + "\n".join(rows) + "\n")
        verdict = judged(tmp_path, colour_predictor(), colour_predictor())
        assert (verdict.report["pictures"], verdict.report["independent"]) == (400, 40)
        assert verdict.outcome == "need more samples"
        warnings: Any = verdict.report["warnings"]
        assert any("400 pictures count as 40" in warning for warning in warnings)

    def test_classes_without_samples_are_named(self, tmp_path: Path) -> None:
        write_colours(tmp_path, 400, shares=(0.5, 0.485, 0, 0, 0, 0.015))
        verdict = judged(tmp_path, colour_predictor(), colour_predictor())
        warnings: Any = verdict.report["warnings"]
        said = (
            "3 of 6 classes never occur in the data: blue, olive, purple; nothing is known about them, and no verdict"
        )
        assert any(said in warning for warning in warnings)

    def test_so_are_those_of_a_detector(self, squares: Path) -> None:
        """More labels than the pictures hold; with those they hold, nothing is said."""
        told = []
        for labels in (COLOURS[:4], COLOURS[:3]):
            gate = AccuracyGate(open_dataset(squares, task="detect", labels=labels))
            warnings: Any = gate.judge("artifact", square_predictor(), square_predictor()).report["warnings"]
            told.append([warning for warning in warnings if "never occur" in warning])
        assert told[1] == []
        assert told[0][0].startswith(f"1 of 4 classes never occur in the data: {COLOURS[3]};")


class TestTheGate:
    def test_the_float_model_is_asked_once(self, colours: Path) -> None:
        asked = 0
        model = colour_predictor()

        def counted(image: Array) -> Result:
            nonlocal asked
            asked += 1
            return model(image)

        gate = AccuracyGate(open_dataset(colours, task="classify", labels=COLOURS))
        first = gate.judge("one", counted, colour_predictor())
        second = gate.judge("two", counted, colour_predictor(without(0)))
        assert asked == COUNT
        assert (first.outcome, second.outcome) == ("pass", "fail")
        assert gate.judge("three", colour_predictor(color="bgr"), colour_predictor(color="bgr")).report["drop"]

    def test_a_float_model_without_numbers_is_the_users_fault(self, colours: Path) -> None:
        broken = colour_predictor(lambda logits: logits * np.nan)
        with pytest.raises(InputError, match=r"own answer to .*0000\.png is no number"):
            judged(colours, broken, colour_predictor())

    def test_another_task(self, squares: Path) -> None:
        with pytest.raises(InputError, match="answers with classification, but the dataset is for detect"):
            judged(squares, colour_predictor(), colour_predictor(), "detect")

    @pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, float("nan")])
    def test_a_limit_that_is_none(self, colours: Path, limit: float) -> None:
        with pytest.raises(InputError, match="max-drop must lie between 0 and 1"):
            judged(colours, colour_predictor(), colour_predictor(), max_drop=limit)

    def test_the_verdict_is_json_and_the_same_twice(self, colours: Path) -> None:
        first, second = (judged(colours, colour_predictor(), colour_predictor(nudge)) for _ in range(2))
        assert json.dumps(first.report, allow_nan=False) == json.dumps(second.report, allow_nan=False)
        assert {"outcome", "reason", "drop", "classes", "scores", "limits"} <= set(first.report)


def test_simulated_classifiers_through_the_gate(tmp_path: Path) -> None:
    """A true drop of 3 points, three times the limit, never passes; none at all, with 1 % differing by chance, mostly."""
    write_colours(tmp_path, 1)
    sample = open_dataset(tmp_path, task="classify", labels=COLOURS).samples[0]
    rng = np.random.default_rng(0)
    n, truth = 1500, next(iter(sample.accepted))  # type: ignore[union-attr]
    other = (truth + 1) % 6
    thumbnails = rng.random((n, 256)).astype(np.float32)
    # Of two classes, so that the float model can be seen to be no guesser.
    classes = rng.integers(0, 2, n)
    samples = [type(sample)(sample.path, frozenset({int((truth, other)[c])})) for c in classes]  # type: ignore[call-arg,arg-type]
    dataset = Dataset("classify", COLOURS, tuple(samples))  # type: ignore[arg-type]

    def answers(right: Array) -> Answers:
        results = [
            Classification(np.asarray([(truth, other)[c] if r else (truth, other)[1 - c]]), np.ones(1, np.float32))
            for c, r in zip(classes, right, strict=True)
        ]
        return Answers(tuple(results), ((8, 8),) * n, thumbnails, (None,) * n)

    passed = {0.03: 0, 0.0: 0}
    for drop in passed:
        for _ in range(15):
            before = rng.random(n) < 0.9
            chance = rng.random(n)
            after = np.where(before, chance >= (drop + 0.005) / 0.9, chance < 0.005 / 0.1)
            passed[drop] += AccuracyGate(dataset).judge_answers("a", answers(before), answers(after)).passed
    assert passed[0.03] == 0
    assert passed[0.0] >= 12
