"""`edgesdk train`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, plain, print_json, progress_line, table
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.train.fit import Fitted


def train(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="A model card whose `factory` builds the model.")],
    data: Annotated[
        Path, typer.Option(help="Labelled pictures: class folders, images/ + labels/ (YOLO), COCO JSON, or labels.csv.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the best weights and the checkpoint; it goes on from there."),
    ],
    plan: Annotated[Path | None, typer.Option(help="YAML: epochs, batch, learning_rate, augment, …")] = None,
    validation: Annotated[
        str, typer.Option(metavar="SHARE|DATA", help="What is kept to judge by where the data has no set for it.")
    ] = "0.2",
    loss: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="A loss beside the card; a detector needs one.")
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Begin as the factory makes it, not with the card's weights.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE|DIR", help="HTML with the curves of every epoch.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Begin again over what the folder holds.")] = False,
    json: JsonFlag = False,
) -> None:
    """Train the model of a card on labelled pictures, prepared as on the device.

    Stopped by Ctrl-C or killed, the same command (without --anew) goes on after the last epoch.

        edgesdk train card.yaml --data pictures/ --plan plan.yaml -o training/
    """
    from edgesdk.report.place import check_report, page_path
    from edgesdk.train.checkpoint import BEST
    from edgesdk.train.examples import open_examples
    from edgesdk.train.fit import fit
    from edgesdk.train.loading import Loading
    from edgesdk.train.losses import loss_for
    from edgesdk.train.measure import measure_for
    from edgesdk.train.model import open_model
    from edgesdk.train.page import training_page
    from edgesdk.train.plan import Plan, read_plan
    from edgesdk.train.progress import TrainingStopped
    from edgesdk_targets.card import read_card
    from edgesdk_targets.whole_file import check_writable

    read, planned = read_card(card), read_plan(plan) if plan is not None else Plan()
    check_writable(output / BEST, "-o")
    if report is not None:
        check_report(report)
    if not untrained:
        _check_source(read.source, output / BEST)
    model = open_model(read, untrained=untrained, seed=planned.seed)
    chosen = loss_for(read, loss)
    with progress_line("train") as say:
        examples = open_examples(
            read,
            data,
            validation=_share(validation),
            seed=planned.seed,
            loading=Loading.for_plans(planned, folder=output),
            progress=say,
        )
        for warning in (*read.warnings, *examples.warnings):
            note(f"warning: {plain(warning)}")
        say(f"{len(examples.train)} pictures to learn from, {len(examples.validation)} to judge by")
        try:
            fitted = fit(
                model,
                chosen,
                examples,
                planned,
                folder=output,
                measure=measure_for(read),
                progress=say,
                resume=not anew,
            )
        except TrainingStopped as stop:
            if stop.epochs:
                given = {
                    "--data": data,
                    "--plan": plan,
                    "--validation": validation,
                    "--loss": loss,
                    "-o": output,
                    "--report": report,
                }
                words = [str(word) for name, value in given.items() if value is not None for word in (name, value)]
                words += ["--untrained"] if untrained else []
                next_command(
                    f"{shlex.join(['edgesdk', 'train', str(card), *words])}  # goes on after epoch {stop.epochs}"
                )
            raise
    if report is not None:
        page = training_page(read.card.name, fitted.to_json(), (*read.warnings, *examples.warnings))
        note(f"report: {page.write(page_path(report, 'training', first=True))}")
    if fitted.earlier == fitted.epochs:
        note("nothing was trained: it was finished before; --anew begins again")
    if json:
        print_json(fitted.to_json())
        return
    _print(fitted)
    next_command(f"write `source: {fitted.weights}` into the card, then edgesdk evaluate {card} --data TEST")


def _check_source(source: Path | None, weights: Path) -> None:
    """Refuse to write over what the training begins with."""
    if source is not None and source.resolve() == weights.resolve():
        raise InputError(
            f"{weights} is what the card names as its `source`, and would be written over.",
            hint="Give another folder by -o, or let the card name a copy.",
        )


def _share(text: str) -> float | Path:
    try:
        return float(text)
    except ValueError:
        return Path(text)


def _print(fitted: Fitted) -> None:
    shown = table("", "epoch", "loss", "validation loss", fitted.metric.replace("_", " "))
    for name, record in (
        ("first", fitted.history[0]),
        ("best", fitted.history[fitted.best_epoch]),
        ("last", fitted.history[-1]),
    ):
        figures = (f"{value:.4g}" for value in (record.loss, record.validation_loss, record.figure))
        add_row(shown, name, str(record.epoch + 1), *figures)
    console().print(shown)
    console().print(
        f"{fitted.weights}: {fitted.ended}; {fitted.steps} steps in {fitted.seconds:.0f} s on {fitted.device}",
        highlight=False,
        markup=False,
    )
