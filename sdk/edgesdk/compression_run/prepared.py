"""All that the passes of a recipe will ask for, opened and checked before the first of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgesdk import __version__
from edgesdk.compression.checkpoints import key_of
from edgesdk.compression.course import Course
from edgesdk.compression.model_size import model_size
from edgesdk.compression.pass_settings import Cluster, Distil, Factorise, Prune
from edgesdk.compression.sensitivity import GroupSensitivity
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Answering, Workbench
from edgesdk.compression_run.checks import activation_for, check_distillation, check_layers, teachers_of
from edgesdk.compression_run.content import PASSES, Content, files_of
from edgesdk.compression_run.data import RecipeData
from edgesdk.compression_run.judging import BASELINE, FIGURES, Judging, SensitivityAnalysis, part_of, predictor_of
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import digest_of_start, subject_of
from edgesdk.compression_run.timing import timing_for
from edgesdk.compression_run.training import trainer_for
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.evaluate.limits import MAX_DROP
from edgesdk_converters.source import Source
from edgesdk_targets.card import CardFile


@dataclass(frozen=True, slots=True)
class Prepared:
    """A course that can begin, with what it was put together from."""

    course: Course
    judging: Judging
    analysis: SensitivityAnalysis
    data: RecipeData

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth knowing of the pictures."""
        return self.data.warnings(self.course.recipe)

    def sensitivity(self) -> tuple[GroupSensitivity, ...]:
        """Return what each group bears: measured at the first pass that asked, in this run or in one before it."""
        kept = (report.record.get("sensitivity") for report in self.course.reports)
        rows = next((rows for rows in kept if rows), None)
        return tuple(map(GroupSensitivity.model_validate, rows)) if rows else tuple(self.analysis.rows)

    def history(self, start: Subject) -> dict[str, Any]:
        """Return what was done to the model, for a bundle's provenance."""
        return {
            "recipe": self.course.recipe.model_dump(mode="json", by_alias=True),
            "digests": {"start": digest_of_start(start), **self.data.digests},
            "passes": [report.to_json() for report in self.course.reports],
        }

    def unfinished(self, card: CardFile, start: Subject, reason: str) -> dict[str, Any]:
        """Return the report's document of a run that ended early."""
        before, reports = model_size(start), self.course.reports
        return {
            "card": card.card.name,
            "figure": FIGURES[card.card.task][0],
            "score": self.judging.score(start),
            "before": before.to_json(),
            "after": (reports[-1].after if reports else before).to_json(),
            "passes": [report.to_json() for report in reports],
            "sensitivity": [row.model_dump(mode="json") for row in self.sensitivity()],
            "conversion": None,
            "warnings": list(self.warnings),
            "stopped": reason,
        }


def prepare(
    request: Request,
    source: Source,
    start: Subject,
    pictures: Pictures,
    say: Callable[[str], None],
    *,
    gated: bool = True,
    model: Content | None = None,
) -> Prepared:
    """Open and check all that the passes will ask for.

    Args:
        pictures: the recipe's; of a run alone, or of all runs of a search.
        gated: whether the gate judges each pass, and the files are watched while it runs; a search does both by trials.
        model: its files, looked at before they were loaded; see `watched_model`.

    Raises:
        InputError: a layer, a teacher or the data is wrong.
    """
    recipe, card = request.recipe, source.card_file
    check_layers(recipe, start.module)
    teachers = teachers_of(recipe, request.base, card)
    watched = [one for one in (model, _watched_teachers(request, teachers)) if one is not None] if gated else []
    answering: dict[str | None, Answering] = {None: Answering(start, activation_for(card))}
    answering |= {name: Answering(subject_of(one), activation_for(one.card_file)) for name, one in teachers.items()}
    check_distillation(recipe, answering[None], answering)
    data = pictures.of_recipe(recipe, card, say)
    trainer = trainer_for(recipe, card, pictures, say)
    judging = _judging(request, card, start, data)
    analysis = SensitivityAnalysis(recipe.sensitivity or None, judging, say)
    timing = timing_for(card, request.target, recipe.of_artifact, request.calibrate, say)
    if (alike := data.alike(recipe)) is not None:
        say(alike)
    evaluations = data.evaluations(recipe)
    bench = Workbench(
        start=start,
        score=judging.score,
        latency_ms=timing.latency_ms,
        train=trainer or _no_training,
        teacher=answering.__getitem__,
        plan=None,
        folder=request.folder,
        say=say,
        sensitivity=analysis.measured,
        evaluations=evaluations,
        pictures=len(judging.some),
    )
    if gated:
        # A search measures what comes of the whole recipe, and has no use for what one pass brought.
        bench = replace(bench, brought=timing.brought)
    told = [card.card.model_dump(mode="json"), card.labels, source.cache_key(), digest_of_start(start)]
    identity = key_of(__version__, told, dict(data.digests), recipe.loss)
    # Neither the loss nor what the gate judges by: no score of the pictures to choose by hangs on them.
    scored_on = key_of(__version__, told, data.digests[data.chosen_by], recipe.seed)
    course = Course(
        recipe,
        bench,
        judging.verdict if gated else None,
        request.folder,
        identity,
        scored_on,
        _Depends(request, teachers, evaluations),
    )
    if gated:
        course = replace(course, unchanged=partial(_check, [*watched, data.content], say))
    return Prepared(course, judging, analysis, data)


def watched_model(request: Request, source: Source) -> Content:
    """Return the files of the model as they are now: to be asked before they are loaded, so that none is changed in between."""
    return Content({"model": partial(files_of, {Path(request.card or request.source): source})}, PASSES)


def _watched_teachers(request: Request, teachers: Mapping[str, Source]) -> Content | None:
    named = {request.base / name: one for name, one in teachers.items()}
    return Content({"teacher": partial(files_of, named)}, PASSES) if named else None


def _check(contents: Sequence[Content], say: Callable[[str], None]) -> None:
    for content in contents:
        for line in content.check():
            say(line)


def _judging(request: Request, card: CardFile, start: Subject, data: RecipeData) -> Judging:
    recipe = request.recipe
    drop = MAX_DROP if request.max_drop is None else request.max_drop
    threshold = card.card.postprocess.score_threshold
    gate = AccuracyGate(data.evaluate, max_drop=drop, score_threshold=threshold, baseline=BASELINE)
    count = recipe.sensitivity.pictures if recipe.sensitivity else 200
    return Judging(card, data.evaluate, part_of(data.choose, count), gate, predictor_of(start.module, card))


def _no_training(*_given: Any, **_named: Any) -> dict[str, Any]:
    raise AssertionError("a recipe without plans trains nothing")


@dataclass(frozen=True, slots=True)
class _Depends:
    """What a pass's result depends on, beside its settings and what came before."""

    request: Request
    teachers: Mapping[str, Source]
    evaluations: int

    def __call__(self, settings: Any) -> object:
        if isinstance(settings, Distil) and settings.teacher is not None:
            teacher = self.teachers[settings.teacher]
            return [teacher.cache_key(), teacher.card.model_dump(mode="json")]
        sensitivity = self.request.recipe.sensitivity
        if isinstance(settings, Prune):
            target = self.request.target if settings.timed and settings.runtime is None else None
            precision = self.request.recipe.of_artifact if settings.timed else None
            return [[sensitivity.ratios, sensitivity.pictures] if sensitivity else None, target, precision]
        if isinstance(settings, Factorise | Cluster):
            return [self.evaluations, sensitivity.pictures] if sensitivity and self.evaluations else None
        return None
