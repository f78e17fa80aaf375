"""`edgesdk evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, note, note_choice, plain, print_json, progress_line, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesdk.evaluate.evaluate import Scorecard
    from edgesdk.evaluate.gate import AgreementGate
    from edgesdk_converters.proving.gate import Verdict
    from edgesdk_targets.model import Model


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")],
    data: Annotated[
        Path, typer.Option(help="Labelled data: class folders, images/ + labels/ (YOLO), COCO JSON, or labels.csv.")
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Evaluate this target's variant.")] = None,
    variant: Annotated[str | None, typer.Option(help="Evaluate this variant.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="VARIANT|BUNDLE", help="Judge against this variant, or another bundle.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="What may be lost against --baseline, as a fraction (0.01: one point).")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the verdict on --baseline as an HTML page.")] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="--data is a folder of pictures: judge how far both agree.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads for one inference; 0 lets the runtime choose.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Measure a bundle's accuracy on labelled data, or judge it against another one."""
    from edgesdk_targets.errors import InputError

    if baseline is None and (max_drop is not None or report is not None or unlabelled):
        raise InputError(
            "--max-drop, --report and --unlabelled compare two models, and only one is given.",
            hint="Add --baseline with a variant of the bundle, or with another bundle.",
        )
    if report is not None:
        from edgesdk.report.place import check_report

        check_report(report)
    model, threshold = _open(bundle, target, variant, threads)
    with model:
        note_choice(model)
        if baseline is None:
            _measure(model, data, json=json)
            return
        with _open_baseline(bundle, baseline, threads) as other:
            note(f"baseline: {other.variant.id}, run by {other.runtime.value}")
            name = _name_of_baseline(model, other, baseline)
            judged = _judge(model, other, name, data, max_drop, threshold, report, unlabelled=unlabelled)
            _print_verdict(model, other, name, judged, json=json)
    verdict = judged.verdict
    if judged.page is not None:
        note(f"report: {judged.page}")
    _fail_unless_passed(model.variant.id, verdict)


def _open(bundle: Path, target: str | None, variant: str | None, threads: int) -> tuple[Model, float]:
    """Load a variant; return the threshold of scores that its bundle sets, too."""
    from edgesdk_targets.bundle.bundle import open_bundle
    from edgesdk_targets.decode.postprocess import judged_with
    from edgesdk_targets.model import load_model
    from edgesdk_targets.session import SessionOptions

    with open_bundle(bundle) as opened:
        scores = judged_with(opened.manifest.task)
        options = SessionOptions(threads=threads)
        threshold = opened.manifest.postprocess.score_threshold
        model = load_model(opened, target=target, variant=variant, options=options, postprocess=scores)
        return model, threshold


def _open_baseline(bundle: Path, baseline: str, threads: int) -> Model:
    """Load the baseline: a bundle if there is one of this name, else a variant of the bundle."""
    if Path(baseline).exists() or baseline.endswith(".edgebundle"):
        return _open(Path(baseline), None, None, threads)[0]
    return _open(bundle, None, baseline, threads)[0]


def _name_of_baseline(model: Model, other: Model, baseline: str) -> str:
    """Return what the baseline is called: its variant, and its bundle where that is another one.

    Raises:
        InputError: it is the judged variant itself.
    """
    from edgesdk_targets.errors import InputError

    same_bundle = other.digest == model.digest
    if same_bundle and other.variant.id == model.variant.id:
        raise InputError(
            f"The baseline and the judged variant are the same: {model.variant.id}.",
            hint="Name another with --variant.",
        )
    return other.variant.id if same_bundle else f"{Path(baseline).name}:{other.variant.id}"


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict; with labels the figures of both models by name, and the page if one was asked for."""

    verdict: Verdict
    cards: dict[str, Scorecard]
    page: Path | None


def _measure(model: Model, data: Path, *, json: bool) -> None:
    from edgesdk.evaluate.answers import each_alone
    from edgesdk.evaluate.dataset import open_dataset
    from edgesdk.evaluate.evaluate import evaluate as measure

    dataset = open_dataset(data, task=model.manifest.task, labels=model.manifest.labels)
    with progress_line("evaluate", every_s=5.0) as say:
        card = measure(each_alone(model), dataset, progress=_counting(say))
    if json:
        print_json({**card.to_json(), "variant": model.variant.id, "runtime": model.runtime.value})
        return
    _print_metrics({"": card})
    for warning in card.warnings:
        note(f"note: {plain(warning)}")


def _judge(
    model: Model,
    other: Model,
    baseline: str,
    data: Path,
    max_drop: float | None,
    threshold: float,
    report: Path | None,
    *,
    unlabelled: bool,
) -> _Judged:
    """Judge `model` against `other`, which is called `baseline`."""
    from edgesdk.evaluate.answers import each_alone
    from edgesdk.evaluate.dataset import open_dataset
    from edgesdk.evaluate.gate import AccuracyGate
    from edgesdk.evaluate.limits import MAX_DROP
    from edgesdk_targets.errors import InputError

    task, name = model.manifest.task, model.variant.id
    if other.manifest.task != task or other.manifest.labels != model.manifest.labels:
        raise InputError(
            f"{other.manifest.name} and {model.manifest.name} have different tasks or labels.",
            hint="Compare two conversions of one model.",
        )
    with progress_line("evaluate", every_s=5.0) as say:
        if unlabelled:
            agreement = _agreement(data, max_drop, report, _counting(say), baseline)
            verdict = agreement.judge(name, each_alone(other), each_alone(model))
            return _Judged(verdict, {}, agreement.page)
        gate = AccuracyGate(
            open_dataset(data, task=task, labels=model.manifest.labels),
            max_drop=MAX_DROP if max_drop is None else max_drop,
            score_threshold=threshold,
            report=report,
            progress=_counting(say),
            baseline=baseline,
        )
        verdict = gate.judge(name, each_alone(other), each_alone(model))
        return _Judged(verdict, dict(zip(("baseline", "judged"), gate.scorecards(), strict=True)), gate.page)


def _fail_unless_passed(name: str, verdict: Verdict) -> None:
    from edgesdk_targets.errors import GateFailed

    if verdict.outcome == "fail":
        raise GateFailed(
            f"{name} failed: {verdict.reason}",
            hint="Use a variant of higher precision; the page of --report shows what is lost.",
        )
    if verdict.outcome == "need more samples":
        raise GateFailed(
            f"{name} is not proven: {verdict.reason}",
            hint=f"Give {verdict.needed} samples in all, or allow a greater --max-drop."
            if verdict.needed
            else "The drop is about the limit itself: allow a greater --max-drop, or use a higher precision.",
        )


def _agreement(
    data: Path, max_drop: float | None, report: Path | None, progress: Callable[[int, int], None], baseline: str
) -> AgreementGate:
    from edgesdk.evaluate.gate import AgreementGate
    from edgesdk_targets.preprocess.image_file import list_images

    return AgreementGate(list_images(data), max_drop=max_drop, report=report, progress=progress, baseline=baseline)


def _print_verdict(model: Model, other: Model, baseline: str, judged: _Judged, *, json: bool) -> None:
    verdict, cards = judged.verdict, judged.cards
    if json:
        found = verdict.report
        own = (
            cards["judged"].to_json() if cards else {"task": model.manifest.task, "metrics": found["artifact_metrics"]}
        )
        print_json(
            {
                **own,
                "verdict": verdict.outcome,
                "reason": verdict.reason,
                "needed": verdict.needed,
                "variant": model.variant.id,
                "runtime": model.runtime.value,
                "baseline": {
                    **(cards["baseline"].to_json() if cards else {}),
                    "variant": other.variant.id,
                    "runtime": other.runtime.value,
                },
                "gate": dict(found),
            }
        )
        return
    if cards:
        _print_metrics({f"{baseline} (baseline)": cards["baseline"], model.variant.id: cards["judged"]})
    warnings = verdict.report.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        note(f"note: {plain(str(warning))}")
    if verdict.passed:
        console().print(f"pass: {plain(verdict.reason)}", highlight=False, markup=False, soft_wrap=True)


def _print_metrics(cards: dict[str, Scorecard]) -> None:
    several = len(cards) > 1
    rows = table(*(("model",) if several else ()), "metric", "value", "95 % interval", "n")
    for model, card in cards.items():
        for name, figure in card.metrics.items():
            cells = (name, f"{figure.value:.4f}", f"{figure.low:.4f} … {figure.high:.4f}", str(figure.n))
            add_row(rows, *((model,) if several else ()), *cells)
    console().print(rows)


def _counting(say: Callable[[str], None]) -> Callable[[int, int], None]:
    return lambda done, total: say(f"{done} of {total}")
