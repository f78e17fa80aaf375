"""`edgesdk evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.evaluate_output import Judged, fail_unless_passed, print_metrics, print_robustness, print_verdict
from edgesdk.cli.output import JsonFlag, note, note_choice, plain, print_json, progress_line
from edgesdk.evaluate.subject import Subject, is_bundle, open_subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesdk.evaluate.gate import AgreementGate


def evaluate(
    bundle: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE|CARD", help="A .edgebundle or its unpacked folder; or a model card, an .onnx or a .pt2."
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Labelled data: class folders, images/ + labels/ (YOLO), COCO JSON, or labels.csv.")
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Evaluate this target's variant.")] = None,
    variant: Annotated[str | None, typer.Option(help="Evaluate this variant.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="VARIANT|BUNDLE|CARD", help="Judge against this variant, another bundle, or the card."),
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="What may be lost against --baseline, as a fraction (0.01: one point).")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Measure the main figure on disturbed pictures, too.")
    ] = False,
    disturbance: Annotated[
        list[str] | None,
        typer.Option(help="Of --robustness only this; several times for several: darker, brighter, blur, noise, …"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the figures with their plots, or the verdict, as an HTML page.")
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="--data is a folder of pictures: judge how far both agree.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads for one inference; 0 lets the runtime choose.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Measure a bundle's accuracy on labelled data, or judge it against another one."""
    _check_options(baseline, max_drop, disturbance, unlabelled=unlabelled, robustness=robustness)
    if report is not None:
        from edgesdk.report.place import check_report

        check_report(report)
    with _opened(bundle, target=target, variant=variant, threads=threads) as model:
        if baseline is None:
            page = _measure(model, data, report, disturbance, robustness=robustness, json=json)
        else:
            with _opened_baseline(bundle, baseline, threads) as other:
                name = _name_of_baseline(model, other)
                judged = _judge(model, other, name, data, max_drop, report, unlabelled=unlabelled)
                print_verdict(model, other, name, judged, json=json)
                page = judged.page
    if page is not None:
        note(f"report: {page}")
    if baseline is not None:
        fail_unless_passed(model.variant, judged.verdict)


def _check_options(
    baseline: str | None,
    max_drop: float | None,
    disturbance: list[str] | None,
    *,
    unlabelled: bool,
    robustness: bool,
) -> None:
    """Refuse options that do not go together.

    Raises:
        InputError: some do not.
    """
    from edgesdk_targets.errors import InputError

    if baseline is None and (max_drop is not None or unlabelled):
        raise InputError(
            "--max-drop and --unlabelled compare two models, and only one is given.",
            hint="Add --baseline with a variant of the bundle, another bundle, or the model card.",
        )
    if baseline is not None and robustness:
        raise InputError(
            "--robustness measures one model, and --baseline compares two.",
            hint="Measure the robustness of each in a run of its own.",
        )
    if disturbance and not robustness:
        raise InputError("--disturbance chooses what --robustness measures.", hint="Add --robustness.")


@contextmanager
def _opened(path: Path, *, target: str | None, variant: str | None, threads: int, role: str = "") -> Iterator[Subject]:
    """Load what is measured, and say what runs.

    Args:
        role: what the model is to another one; empty where it is the one that is measured.
    """
    chosen = None if role else note_choice
    with open_subject(path, target=target, variant=variant, threads=threads, chosen=chosen) as model:
        if role or not is_bundle(path):
            note(f"{role}{model.variant}, run by {model.runtime}")
        yield model


def _opened_baseline(bundle: Path, baseline: str, threads: int) -> AbstractContextManager[Subject]:
    """Load the baseline: a bundle or card if there is one of this name, else a variant of the bundle."""
    other = Path(baseline)
    own = other.exists() or baseline.endswith(".edgebundle") or not is_bundle(other)
    path, variant = (other, None) if own else (bundle, baseline)
    return _opened(path, target=None, variant=variant, threads=threads, role="baseline: ")


def _name_of_baseline(model: Subject, other: Subject) -> str:
    """Return what the baseline is called: its variant, and its bundle where that is another one.

    Raises:
        InputError: it is the judged variant itself.
    """
    from edgesdk_targets.errors import InputError

    same_bundle = other.digest == model.digest
    if same_bundle and other.variant == model.variant:
        raise InputError(
            f"The baseline and the judged variant are the same: {model.variant}.",
            hint="Name another with --variant.",
        )
    return other.variant if same_bundle or other.model == other.variant else f"{other.model}:{other.variant}"


def _measure(
    model: Subject, data: Path, report: Path | None, disturbance: list[str] | None, *, robustness: bool, json: bool
) -> Path | None:
    """Measure one model, print its figures, and return where the page was written."""
    from edgesdk.evaluate.dataset import open_dataset
    from edgesdk.evaluate.disturbances import DISTURBANCES, find_disturbance
    from edgesdk.evaluate.evaluate import evaluate as measure
    from edgesdk.evaluate.robustness import measure_robustness

    disturbances = [find_disturbance(name) for name in dict.fromkeys(disturbance or DISTURBANCES)]
    dataset = open_dataset(data, task=model.task, labels=model.labels)
    with progress_line("evaluate", every_s=5.0) as say:
        card = measure(model.predict, dataset, score_threshold=model.score_threshold, progress=_counting(say))
    curves = None
    if robustness:
        with progress_line("robustness", every_s=5.0) as say:
            curves = measure_robustness(model.predict, dataset, disturbances, progress=_counting(say))
    page = None
    if report is not None:
        from edgesdk.evaluate.evaluation_page import evaluation_page
        from edgesdk.report.place import page_path

        place = page_path(report, model.variant, first=True)
        page = evaluation_page(model.variant, model.runtime, card, len(dataset), curves).write(place)
    if json:
        shown = {"robustness": curves.to_json()} if curves else {}
        print_json({**card.to_json(), **shown, "variant": model.variant, "runtime": model.runtime})
        return page
    print_metrics({"": card})
    if curves is not None:
        print_robustness(curves)
    for warning in card.warnings:
        note(f"note: {plain(warning)}")
    return page


def _judge(
    model: Subject,
    other: Subject,
    baseline: str,
    data: Path,
    max_drop: float | None,
    report: Path | None,
    *,
    unlabelled: bool,
) -> Judged:
    """Judge `model` against `other`, which is called `baseline`."""
    from edgesdk.evaluate.dataset import open_dataset
    from edgesdk.evaluate.gate import AccuracyGate
    from edgesdk.evaluate.limits import MAX_DROP
    from edgesdk_targets.errors import InputError

    if (other.task, other.labels) != (model.task, model.labels):
        raise InputError(
            f"{other.model} and {model.model} have different tasks or labels.",
            hint="Compare two conversions of one model.",
        )
    with progress_line("evaluate", every_s=5.0) as say:
        if unlabelled:
            agreement = _agreement(data, max_drop, report, _counting(say), baseline)
            verdict = agreement.judge(model.variant, other.predict, model.predict)
            return Judged(verdict, {}, agreement.page)
        gate = AccuracyGate(
            open_dataset(data, task=model.task, labels=model.labels),
            max_drop=MAX_DROP if max_drop is None else max_drop,
            score_threshold=model.score_threshold,
            report=report,
            progress=_counting(say),
            baseline=baseline,
        )
        verdict = gate.judge(model.variant, other.predict, model.predict)
        return Judged(verdict, dict(zip(("baseline", "judged"), gate.scorecards(), strict=True)), gate.page)


def _agreement(
    data: Path, max_drop: float | None, report: Path | None, progress: Callable[[int, int], None], baseline: str
) -> AgreementGate:
    from edgesdk.evaluate.gate import AgreementGate
    from edgesdk_targets.preprocess.image_file import list_images

    return AgreementGate(list_images(data), max_drop=max_drop, report=report, progress=progress, baseline=baseline)


def _counting(say: Callable[[str], None]) -> Callable[[int, int], None]:
    return lambda done, total: say(f"{done} of {total}")
