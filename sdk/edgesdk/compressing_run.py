"""One run of a recipe, from the card to the bundle and the report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesdk import __version__
from edgesdk.compressing import Compression
from edgesdk.compressing_checks import activation_for, check_distillation, check_layers, teachers_of
from edgesdk.compressing_data import RecipeData, open_data
from edgesdk.compressing_judging import BASELINE, FIGURES, Judging, Survey, part_of, predictor_of
from edgesdk.compressing_timing import timing_for
from edgesdk.compressing_training import trainer_for
from edgesdk.compression.checkpoints import key_of
from edgesdk.compression.course import Course
from edgesdk.compression.model_size import model_size
from edgesdk.compression.page import compression_page
from edgesdk.compression.pass_settings import Distil, Prune
from edgesdk.compression.recipe import Recipe
from edgesdk.compression.sensitivity import GroupSensitivity
from edgesdk.compression.stored import origin_of, write_compressed
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Answering, Workbench
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.evaluate.limits import MAX_DROP
from edgesdk.train.checkpoint import weights_bytes
from edgesdk_converters.convert import convert
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import EdgeError, InputError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, read and checked as far as no model is needed; see `edgesdk.compressing.compress`."""

    source: str | Path
    card: str | Path | None
    recipe: Recipe
    base: Path
    target: str
    output: Path
    max_drop: float | None
    page: Path
    folder: Path

    @property
    def calibrate(self) -> Path | None:
        """The pictures on which ranges for INT8 are measured."""
        return self.path(self.recipe.data.calibrate or self.recipe.data.train)

    def path(self, name: str | None) -> Path | None:
        """Return a path of the recipe."""
        return self.base / name if name else None


def run(request: Request, say: Say) -> Compression:
    """Run a recipe.

    Raises:
        As `edgesdk.compressing.compress`.
    """
    source = resolve_source(request.source, card=request.card)
    start = subject_of(source)
    prepared = prepare(request, source, start, say)
    try:
        done = _finished(request, source, start, prepared, say)
    except EdgeError as error:
        # What was tried is worth reading, above all where it was not enough; what went wrong must not be hidden by the report.
        with suppress(EdgeError, OSError):
            compression_page(prepared.unfinished(source.card_file, start, str(error))).write(request.page)
        raise
    compression_page(done.to_json()).write(request.page)
    return done


@dataclass(frozen=True, slots=True)
class Prepared:
    """A course that can begin, with what it was put together from."""

    course: Course
    judging: Judging
    survey: Survey
    data: RecipeData

    def sensitivity(self) -> tuple[GroupSensitivity, ...]:
        """Return what each group bears: measured at the first pass that asked, in this run or in one before it."""
        kept = (report.record.get("sensitivity") for report in self.course.reports)
        rows = next((rows for rows in kept if rows), None)
        return tuple(map(GroupSensitivity.from_json, rows)) if rows else tuple(self.survey.rows)

    def history(self, start: Subject) -> dict[str, Any]:
        """Return what was done to the model, for a bundle's provenance."""
        return {
            "recipe": self.course.recipe.model_dump(mode="json", by_alias=True),
            "digests": {"start": _digest_of_start(start), **self.data.digests},
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
            "sensitivity": [row.to_json() for row in self.sensitivity()],
            "conversion": None,
            "warnings": list(self.data.warnings),
            "stopped": reason,
        }


def prepare(request: Request, source: Source, start: Subject, say: Say, *, gated: bool = True) -> Prepared:
    """Open and check all that the passes will ask for.

    Args:
        gated: whether the gate judges each pass.

    Raises:
        InputError: a layer, a teacher or the data is wrong.
    """
    recipe, card = request.recipe, source.card_file
    check_layers(recipe, start.module)
    teachers = teachers_of(recipe, request.base, card)
    answering: dict[str | None, Answering] = {None: Answering(start, activation_for(card))}
    answering |= {name: Answering(subject_of(one), activation_for(one.card_file)) for name, one in teachers.items()}
    check_distillation(recipe, answering[None], answering)
    say("digests of the data")
    data = open_data(recipe, request.base, card)
    trainer = trainer_for(recipe, request.base, card, request.folder, say)
    judging = _judging(request, card, start, data)
    survey = Survey(recipe.sensitivity or None, judging, say)
    timing = timing_for(card, request.target, recipe.of_artifact, request.calibrate, say)
    bench = Workbench(
        start=start,
        score=judging.score,
        latency_ms=timing.latency_ms,
        train=trainer or _no_training,
        teacher=answering.__getitem__,
        plan=None,
        folder=request.folder,
        say=say,
        sensitivity=survey.measured,
        # A search measures what comes of the whole recipe, and has no use for what one pass brought.
        **({"brought": timing.brought} if gated else {}),
    )
    told = [card.card.model_dump(mode="json"), card.labels, source.cache_key(), _digest_of_start(start)]
    identity = key_of(__version__, told, dict(data.digests), recipe.loss)
    course = Course(
        recipe, bench, judging.verdict if gated else None, request.folder, identity, _Depends(request, teachers)
    )
    return Prepared(course, judging, survey, data)


def _finished(request: Request, source: Source, start: Subject, prepared: Prepared, say: Say) -> Compression:
    """Run the passes, and convert what comes of them."""
    recipe, judging, reports = request.recipe, prepared.judging, prepared.course.reports
    small = prepared.course.run()
    card = write_compressed(small, source.card_file, request.output, name=recipe.name, version=recipe.version)
    say("conversion")
    quantised = recipe.of_artifact in {"int8", "mixed"}
    conversion = convert(
        card,
        request.target,
        output=request.output,
        precision=recipe.of_artifact,
        data=request.path(recipe.data.evaluate),
        calib_data=request.calibrate if quantised else None,
        gate=judging.for_artifacts,
        history=prepared.history(start),
        progress=say,
    )
    warnings = [*prepared.data.warnings, *conversion.warnings]
    if recipe.reordered:
        order = " → ".join(settings.kind for settings in recipe.ordered)
        warnings.append(f"the passes were run in the order {order}, as the written one would undo some of them")
    return Compression(
        card=card,
        conversion=conversion,
        figure=FIGURES[source.card.task][0],
        score=judging.score(start),
        before=model_size(start),
        after=model_size(small),
        reports=tuple(reports),
        sensitivity=prepared.sensitivity(),
        warnings=tuple(warnings),
        page=request.page,
    )


def subject_of(source: Source) -> Subject:
    """Return a card's model, ready for the first pass.

    Raises:
        InputError: it has no factory, takes clips, or cannot be loaded.
    """
    _, _, changes = origin_of(source.card)
    module = source.load()
    if not isinstance(module, nn.Module) or source.card.window is not None:
        raise InputError(
            f"{source.card.name} cannot be compressed: passes need a torch module that takes single pictures.",
            hint="Give weights with `factory: package.module:function` in a card.",
        )
    example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in source.declared_inputs())
    found = Subject(module.eval(), example, changes)
    try:
        found.run()
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"The model does not run on the input of its card: {type(error).__name__}: {error}",
            hint="Correct `input.shape` (and `state`) in the card.",
        ) from error
    return found


def _judging(request: Request, card: CardFile, start: Subject, data: RecipeData) -> Judging:
    recipe = request.recipe
    drop = MAX_DROP if request.max_drop is None else request.max_drop
    threshold = card.card.postprocess.score_threshold
    gate = AccuracyGate(data.evaluate, max_drop=drop, score_threshold=threshold, baseline=BASELINE)
    count = recipe.sensitivity.pictures if recipe.sensitivity else 200
    return Judging(card, data.evaluate, part_of(data.choose, count), gate, predictor_of(start.module, card))


def _digest_of_start(start: Subject) -> str:
    return hashlib.sha256(weights_bytes(start.module)).hexdigest()


def _no_training(*_given: Any, **_named: Any) -> dict[str, Any]:
    raise AssertionError("a recipe without plans trains nothing")


@dataclass(frozen=True, slots=True)
class _Depends:
    """What a pass's result depends on, beside its settings and what came before."""

    request: Request
    teachers: Mapping[str, Source]

    def __call__(self, settings: Any) -> object:
        if isinstance(settings, Distil) and settings.teacher is not None:
            teacher = self.teachers[settings.teacher]
            return [teacher.cache_key(), teacher.card.model_dump(mode="json")]
        if isinstance(settings, Prune):
            sensitivity = self.request.recipe.sensitivity
            target = self.request.target if settings.timed and settings.runtime is None else None
            precision = self.request.recipe.of_artifact if settings.timed else None
            return [sensitivity.model_dump() if sensitivity else None, target, precision]
        return None
