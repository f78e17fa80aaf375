"""The course of a recipe: pass after pass, each with its recovery, its figures and its verdict."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesdk.compression.catalogue import PASSES
from edgesdk.compression.checkpoints import digest_of, keep, kept, key_of
from edgesdk.compression.holding import holding_hooks
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.layers import sharing_layers
from edgesdk.compression.model_size import ModelSize, model_size
from edgesdk.compression.recipe import Recipe, Step
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_converters.proving.gate import Verdict
from edgesdk_targets.errors import ContentChanged, GateFailed, InputError

Judge = Callable[[str, Subject], Verdict]


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass did, ready for JSON.

    Attributes:
        kind: of the pass.
        settings: as the recipe gives them.
        score_applied: the main figure right after the pass, before any recovery; of a pass that learns None.
        score: the main figure at the end.
        record: what the pass says of itself.
        training: what its training or recovery came to; None for none.
        outcome, reason: of the gate; `not judged` where the next pass is the recovery.
        verdict: the gate's figures.
        seconds: that it took.
        resumed: it was finished in an earlier run.
    """

    kind: str
    settings: Mapping[str, Any]
    before: ModelSize
    after: ModelSize
    score_applied: float | None
    score: float
    record: Mapping[str, Any]
    training: Mapping[str, Any] | None
    outcome: str
    reason: str
    verdict: Mapping[str, Any]
    seconds: float
    resumed: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PassReport:
        sizes = {name: ModelSize(**document[name]) for name in ("before", "after")}
        return cls(**{**document, **sizes, "resumed": True})


@dataclass(frozen=True, slots=True)
class Course:
    """A recipe to be run on one model.

    Attributes:
        folder: of the checkpoints, one folder a pass.
        judge: the gate; None where what comes of the whole recipe is judged elsewhere, and not each pass.
        identity: of everything outside the recipe that the result depends on: start weights, data, loss, version.
        scored_on: of the pictures by which sensitivity is measured, and of how they are given to a model.
        depends: what one pass's result depends on beside its own settings and plan, by the settings; ready for JSON.
        unchanged: raises `ContentChanged` where the files that the passes stand on are not what they were.
        reports: of the passes that are done, also where a later one ends the run.
    """

    recipe: Recipe
    bench: Workbench
    judge: Judge | None
    folder: Path
    identity: str
    scored_on: str = ""
    depends: Callable[[Any], object] = field(default=lambda _settings: None)
    unchanged: Callable[[], None] = field(default=lambda: None)
    reports: list[PassReport] = field(default_factory=list)

    def run(self) -> Subject:
        """Run the recipe's passes, going on after the last one that is finished.

        Raises:
            InputError: a pass cannot do what is asked of it.
            ContentChanged: what it stands on changed while it ran; what was finished before is kept.
            GateFailed: a pass costs more than is allowed; what was reached is kept.
        """
        self.unchanged()
        subject, key = self.bench.start, key_of(self.identity, self.recipe.seed)
        for number, step in enumerate(self.recipe.steps(), 1):
            name = f"{number:02d}-{step.settings.kind}"
            folder = self.folder / name
            # The model itself, and not what it was made by: a budget in time, or a training, does not give the same one twice.
            before, of_before = subject, digest_of(subject)
            key = key_of(key, of_before, step.to_json(), self.depends(step.settings))
            found = self._kept(folder, key)
            if found is not None:
                subject, report = found
                self.bench.say(f"{name}: was finished")
            else:
                with self._standing(folder):
                    subject, report = self._pass(step, name, before, self._bench(step, folder, key, of_before))
                keep(folder, key, subject, report.to_json())
            report = self._judged(report, step, name, subject)
            self.reports.append(report)
            if report.outcome == "fail":
                self.unchanged()
                raise GateFailed(
                    f"After {name} the model is not accurate enough: {report.reason}",
                    hint=f"{_advice(report)} What came before it is kept in {self.folder}.",
                )
        return subject

    @contextmanager
    def _standing(self, folder: Path) -> Iterator[None]:
        """Check at the end of a pass, also of one that failed, that all is as it was; else forget what it came to by then."""
        try:
            try:
                yield
            except BaseException:
                # Ctrl-C too: what a training kept until then is gone on with.
                self.unchanged()
                raise
            self.unchanged()
        except ContentChanged:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _kept(self, folder: Path, key: str) -> tuple[Subject, PassReport] | None:
        """Return what an earlier run finished; None also for a record that is damaged."""
        found = kept(folder, key, self.bench.start)
        try:
            return (found[0], PassReport.from_json(found[1])) if found is not None else None
        except (KeyError, TypeError):
            return None

    def _bench(self, step: Step, folder: Path, key: str, of_before: str) -> Workbench:
        """Return what a pass may ask for.

        Args:
            key: of what comes of it, its training included.
            of_before: the digest of the model before it; what is measured of that hangs on the pictures besides, and on nothing
                else.
        """
        sensitivity = self.recipe.sensitivity
        measured = key_of(of_before, self.scored_on, sensitivity.pictures if sensitivity else None)
        kept_scores = KeptScores(folder / "sensitivity.json", measured)
        return replace(self.bench, plan=step.plan, folder=_training_folder(folder, key), kept=kept_scores)

    def _pass(self, step: Step, name: str, before: Subject, bench: Workbench) -> tuple[Subject, PassReport]:
        began = time.monotonic()
        settings = step.settings
        bench.say(f"{name}: begins")
        done = PASSES[settings.kind].load()(settings, before, bench)
        _check_sharing(before, done.subject, name)
        applied = None
        if not PASSES[settings.kind].learns:
            applied = bench.score(done.subject)
            if step.plan is not None:
                bench.say(f"{name}: recovery")
                done = _recovered(done, bench)
        report = PassReport(
            kind=settings.kind,
            settings=settings.model_dump(mode="json", by_alias=True, exclude_unset=True),
            before=model_size(before),
            after=model_size(done.subject),
            score_applied=applied,
            score=bench.score(done.subject),
            record=done.record,
            training=done.training,
            outcome="not judged",
            reason="its recovery is the next pass" if self.judge is not None else "no gate was asked for",
            verdict={},
            seconds=round(time.monotonic() - began, 1),
        )
        return done.subject, report

    def _judged(self, report: PassReport, step: Step, name: str, subject: Subject) -> PassReport:
        if self.judge is None or not step.judged:
            return report
        verdict = self.judge(name, subject)
        self.bench.say(f"{name}: {verdict.outcome}: {verdict.reason}")
        found = {**verdict.report, "excess": round(verdict.excess, 6) if math.isfinite(verdict.excess) else None}
        return replace(report, outcome=verdict.outcome, reason=verdict.reason, verdict=found)


def _advice(report: PassReport) -> str:
    """Say what may help a pass that failed: more is allowed only where the drop is what is too large, and no class is lost."""
    lost = any(one["collapsed"] for one in report.verdict.get("classes", ()))
    more_helps = not lost and (report.verdict.get("excess") or 0.0) > 0
    allowed = ", or allow more with --max-drop" if more_helps else ""
    return f"Ask less of this pass, or give its recovery more epochs{allowed}."


def _check_sharing(before: Subject, after: Subject, name: str) -> None:
    """Refuse what parts layers that use one weight: the record would still call them tied."""
    if parted := sorted(sharing_layers(before.module) - sharing_layers(after.module)):
        raise InputError(
            f"After {name} {parted[0]} does not share its weight any more.",
            hint="Leave this layer out of the pass, or do not tie it.",
        )


def _training_folder(folder: Path, key: str) -> Path:
    """Return the folder of a pass's training; those of other recipes, which lie beside it, go."""
    own = folder / f"training-{key[:12]}"
    for other in folder.glob("training-*"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own


def _recovered(done: PassDone, bench: Workbench) -> PassDone:
    """Train what a pass gave, without undoing it."""
    assert bench.plan is not None  # noqa: S101  (asked for where there is one)
    module = done.subject.copy()
    training = bench.train(module, bench.plan, bench.folder, hooks=holding_hooks(done.subject, module))
    return replace(done, subject=done.subject.retrained(module), training=training)
