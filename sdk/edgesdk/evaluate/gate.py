"""Gates: is an artifact as good as the float model, on these pictures?

`AccuracyGate` judges by labels, `AgreementGate` without any by the float model's own answers. Both keep the float model's
answers, so that several artifacts are judged at the cost of one; and both write a page that shows what a verdict rests on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgesdk.evaluate.agreement import USUAL, compare_answers
from edgesdk.evaluate.answers import KINDS, Answers, Pictures, Predict, Progress, check_kind, collect, paths_of
from edgesdk.evaluate.compare import compare_labelled
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.gate_page import Shown, gate_page
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.judgement import too_few, verdict_of
from edgesdk.evaluate.limits import MAX_DROP, Limits
from edgesdk.evaluate.naming import FLOAT, begun
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk.report.place import page_path
from edgesdk_converters.proving.gate import Verdict
from edgesdk_targets.errors import InputError


class _Pair:
    """The float model's answers, kept, and an artifact's."""

    def __init__(self, pictures: Pictures, progress: Progress | None, baseline: str) -> None:
        if len(pictures) == 0:
            raise InputError("There are no pictures to judge by.", hint="Give a folder with pictures.")
        self.pictures = pictures
        self._progress = progress
        self._baseline = baseline
        self._asked: Predict | None = None
        self._answers: Answers | None = None

    def of_reference(self, predict: Predict) -> Answers:
        """Return the float model's answers; the same model is asked once.

        Raises:
            InputError: one of its answers is no number.
        """
        if self._answers is None or self._asked is not predict:
            answers = collect(predict, self.pictures, self._progress)
            broken = answers.broken()
            if broken:
                first = answers.paths[broken[0]] or f"picture {broken[0] + 1}"
                raise InputError(
                    f"{begun(self._baseline)}'s own answer to {first} is no number (NaN), and "
                    f"to {len(broken) - 1} more of {len(answers)}.",
                    hint="Check its weights and its preprocessing; nothing can be compared with it.",
                )
            self._asked, self._answers = predict, answers
        return self._answers

    def of_artifact(self, predict: Predict) -> Answers:
        return collect(predict, self.pictures, self._progress)


class AccuracyGate:
    """Judge artifacts by labelled pictures.

    Detectors are to be given with scores down to `AP_SCORE_THRESHOLD`; what counts at the deployed threshold is picked
    out here.

    Args:
        dataset: of the model's task.
        max_drop: what the main figure may lose, as a fraction: top-1, AP50, character errors, retrieval, relative error.
        class_floor: what a class's recall may lose, whatever the mean.
        score_threshold: of the deployed detector.
        report: an .html file for the page of the first artifact, beside which those of others are written with their name;
            or a folder.
        progress: called with the number of pictures done and of all, for each model.
        baseline: what texts call the model that artifacts are compared with.

    Attributes:
        warnings: what can be known before any model is asked, such as that the samples are too few for any pass.

    Raises:
        InputError: a limit is out of range.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        max_drop: float = MAX_DROP,
        class_floor: float = 0.1,
        score_threshold: float = 0.25,
        report: Path | None = None,
        progress: Progress | None = None,
        baseline: str = FLOAT,
    ) -> None:
        self._dataset = dataset
        self._limits = Limits(max_drop, class_floor, score_threshold)
        self._baseline = baseline
        self._report = _Report(report)
        self._pair = _Pair(paths_of(dataset), progress, baseline)
        self.warnings = tuple(too_few(len(dataset), max_drop)) if dataset.task in {"classify", "embed"} else ()
        self._last: tuple[Answers, Answers] | None = None

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        """Compare two models on the dataset.

        Args:
            name: of the artifact, for reports.

        Raises:
            InputError: a picture cannot be read, the models answer another task, or the float model gives no numbers.
            MissingExtra: what a figure or the page needs is not installed.
        """
        return self.judge_answers(name, self._pair.of_reference(reference), self._pair.of_artifact(artifact))

    def judge_answers(self, name: str, before: Answers, after: Answers) -> Verdict:
        """Compare answers to the dataset's pictures that were collected already.

        Args:
            before, after: the float model's and the artifact's, in the dataset's order.

        Raises:
            InputError, MissingExtra: as of `judge`.
        """
        dataset = self._dataset
        check_kind((*before.results, *after.results), dataset.task)
        broken = after.broken()
        # Broken answers stand for themselves; what is compared beside them is the float model with itself.
        sound = after if not broken else before
        units = units_of(before.paths, before.thumbnails, dataset.groups)
        comparison = compare_labelled(dataset, before, sound, units, self._limits)
        comparison = replace(comparison, warnings=tuple(dict.fromkeys((*dataset.warnings, *comparison.warnings))))
        self._last = (before, sound)
        verdict = verdict_of(
            comparison,
            self._limits,
            name=name,
            task=dataset.task,
            pictures=len(dataset),
            broken=len(broken),
            baseline=self._baseline,
        )
        self._report.write(verdict, comparison, Shown(self._pair.pictures, before, after, dataset), self._limits)
        return verdict

    @property
    def page(self) -> Path | None:
        """Where the page of the last verdict was written."""
        return self._report.written

    def scorecards(self) -> tuple[Scorecard, Scorecard]:
        """Return the figures of the float model and of the artifact that was judged last; of a broken one the former's.

        Raises:
            InputError: nothing was judged yet.
        """
        if self._last is None:
            raise InputError("Nothing was judged yet.", hint="Call judge() first.")
        threshold = self._limits.score_threshold
        before, after = (scorecard(self._dataset, one, score_threshold=threshold) for one in self._last)
        return before, after


class AgreementGate:
    """Judge artifacts by pictures without labels.

    Args:
        pictures: files or arrays (H, W, 3) uint8 BGR.
        max_drop: what may disagree, as a fraction; None for what is usual for the task (`agreement.USUAL`).
        class_floor: what a class may lose of its agreement.
        score_threshold: from which a detection counts.
        report, progress, baseline: as of `AccuracyGate`.

    Raises:
        InputError: there are no pictures, or a limit is out of range.
    """

    def __init__(
        self,
        pictures: Pictures,
        *,
        max_drop: float | None = None,
        class_floor: float = 0.25,
        score_threshold: float = 0.35,
        report: Path | None = None,
        progress: Progress | None = None,
        baseline: str = FLOAT,
    ) -> None:
        self.warnings: tuple[str, ...] = ()
        self._pair = _Pair(pictures, progress, baseline)
        self._max_drop = max_drop
        self._rest = (class_floor, score_threshold)
        Limits(0.01 if max_drop is None else max_drop, *self._rest)
        self._baseline = baseline
        self._report = _Report(report)

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        """Compare two models on the pictures.

        Args:
            name: of the artifact, for reports.

        Raises:
            InputError: a picture cannot be read, the models answer different tasks, or the float model gives no numbers.
            MissingExtra: what a figure or the page needs is not installed.
        """
        before = self._pair.of_reference(reference)
        task = next(task for task, kind in KINDS.items() if isinstance(before.results[0], kind))
        after = self._pair.of_artifact(artifact)
        check_kind((*before.results, *after.results), task)
        broken = after.broken()
        limits = Limits(USUAL[task] if self._max_drop is None else self._max_drop, *self._rest)
        units = units_of(before.paths, before.thumbnails, {})
        comparison = compare_answers(task, before, before if broken else after, units, limits)
        verdict = verdict_of(
            comparison,
            limits,
            name=name,
            task=task,
            pictures=len(before),
            broken=len(broken),
            baseline=self._baseline,
        )
        self._report.write(verdict, comparison, Shown(self._pair.pictures, before, after, None), limits)
        return verdict

    @property
    def page(self) -> Path | None:
        """Where the page of the last verdict was written."""
        return self._report.written


class _Report:
    """Where the pages go: into the file that was named, those of further artifacts beside it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._first: str | None = None
        self.written: Path | None = None

    def write(self, verdict: Verdict, comparison: Comparison, shown: Shown, limits: Limits) -> None:
        if self._path is None:
            return
        name = str(verdict.report["artifact"])
        self._first = self._first or name
        path = page_path(self._path, name, first=self._first == name)
        self.written = gate_page(verdict, comparison, shown, limits).write(path)
