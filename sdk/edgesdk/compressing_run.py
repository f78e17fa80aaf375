"""One run of a recipe, from the card to the bundle and the report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from edgesdk.compressing import Compression, digest_of
from edgesdk.compressing_judging import BASELINE, FIGURES, Judging, part_of, predictor_of
from edgesdk.compressing_timing import Timing
from edgesdk.compression.channel_groups import ChannelGroups
from edgesdk.compression.checkpoints import key_of
from edgesdk.compression.course import Course
from edgesdk.compression.model_size import model_size
from edgesdk.compression.page import compression_page
from edgesdk.compression.recipe import Recipe
from edgesdk.compression.sensitivity import GroupSensitivity, sensitivities
from edgesdk.compression.stored import origin_of, weights_bytes, write_compressed
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Workbench
from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.evaluate.limits import MAX_DROP
from edgesdk.train.examples import Examples, open_examples
from edgesdk.train.fit import fit
from edgesdk.train.losses import loss_for
from edgesdk.train.measure import measure_for
from edgesdk.train.moment import Hook, Term
from edgesdk.train.plan import Plan
from edgesdk_converters.convert import convert
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import InputError

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
    loss: str | None
    page: Path
    folder: Path

    def path(self, name: str | None) -> Path | None:
        """Return a path of the recipe."""
        return self.base / name if name else None


def run(request: Request, say: Say) -> Compression:
    """Run a recipe.

    Raises:
        As `edgesdk.compressing.compress`.
    """
    recipe = request.recipe
    source = resolve_source(request.source, card=request.card)
    start = subject_of(source)
    judging = _judging(request, source.card_file, start)
    trainer = _Trainer(request, source.card_file, say)
    survey = _Survey(request, judging, say)
    bench = Workbench(
        start=start,
        score=judging.score,
        latency_ms=Timing(source.card_file, request.target, say).latency_ms,
        train=trainer,
        teacher=lambda name: subject_of(resolve_source(request.base / name)),
        plan=None,
        folder=request.folder,
        say=say,
        tolerance=survey.tolerance,
    )
    say("digests of the data")
    digests = {"start": hashlib.sha256(weights_bytes(start.module)).hexdigest(), **_data_digests(request)}
    course = Course(recipe, bench, judging.verdict, request.folder, key_of(digests, source.cache_key()))
    small, reports = course.run()
    card = write_compressed(small, source.card_file, request.output, name=recipe.name, version=recipe.version)
    history = {
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "digests": digests,
        "passes": [report.to_json() for report in reports],
    }
    say("conversion")
    precision = recipe.precision or ("int8" if any(report.kind == "qat" for report in reports) else None)
    quantised = precision in {"int8", "mixed"}
    conversion = convert(
        card,
        request.target,
        output=request.output,
        precision=precision,
        data=request.path(recipe.data.evaluate),
        calib_data=(request.path(recipe.data.calibrate or recipe.data.train)) if quantised else None,
        gate=judging.for_artifacts,
        history=history,
        progress=say,
    )
    warnings = [*conversion.warnings]
    if recipe.reordered:
        order = " → ".join(settings.kind for settings in recipe.ordered)
        warnings.append(f"the passes were run in the order {order}, as the written one would undo some of them")
    done = Compression(
        card=card,
        conversion=conversion,
        figure=FIGURES[source.card.task][0],
        score=judging.score(start),
        before=model_size(start),
        after=model_size(small),
        reports=tuple(reports),
        sensitivity=tuple(survey.rows),
        warnings=tuple(warnings),
        page=request.page,
    )
    compression_page(done.to_json()).write(request.page)
    return done


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


def _judging(request: Request, card: CardFile, start: Subject) -> Judging:
    recipe = request.recipe
    dataset = open_dataset(request.base / recipe.data.evaluate, task=card.card.task, labels=card.labels)
    drop = MAX_DROP if request.max_drop is None else request.max_drop
    threshold = card.card.postprocess.score_threshold
    gate = AccuracyGate(dataset, max_drop=drop, score_threshold=threshold, baseline=BASELINE)
    count = recipe.sensitivity.pictures if recipe.sensitivity else 200
    return Judging(card, dataset, part_of(dataset, count), gate, predictor_of(start.module, card))


def _data_digests(request: Request) -> dict[str, str]:
    data = request.recipe.data
    paths = {name: request.path(getattr(data, name)) for name in ("train", "evaluate", "calibrate")}
    for name, path in paths.items():
        if path is not None and not path.exists():
            raise InputError(f"data.{name} of the recipe is {path}, which does not exist.", hint="Correct the path.")
    return {name: digest_of([path]) for name, path in paths.items() if path is not None}


@dataclass(slots=True)
class _Survey:
    """What each group of channels bears, measured at the first pass that asks."""

    request: Request
    judging: Judging
    say: Say
    rows: list[GroupSensitivity] = field(default_factory=list)

    def tolerance(self, found: ChannelGroups) -> Mapping[str, float] | None:
        settings = self.request.recipe.sensitivity
        if not settings:
            return None
        self.rows = sensitivities(found, self.judging.score, settings.ratios, self.say)
        return {row.name: row.tolerance for row in self.rows}


@dataclass(slots=True)
class _Trainer:
    """Trains on the recipe's data, which are opened when the first pass learns."""

    request: Request
    card: CardFile
    say: Say
    _examples: Examples | None = None

    def __call__(
        self,
        module: nn.Module,
        plan: Plan,
        folder: Path,
        *,
        terms: Mapping[str, Term] | None = None,
        hooks: Sequence[Hook] = (),
    ) -> dict[str, Any]:
        fitted = fit(
            module,
            loss_for(self.card, self.request.loss),
            self._opened(),
            plan,
            folder=folder,
            measure=measure_for(self.card),
            terms=terms,
            hooks=hooks,
            progress=self.say,
        )
        return {**fitted.to_json(), "weights": fitted.weights.name}

    def _opened(self) -> Examples:
        if self._examples is None:
            data = self.request.path(self.request.recipe.data.train)
            self._examples = open_examples(
                self.card, cast("Path", data), seed=self.request.recipe.seed, progress=self.say
            )
        return self._examples
