"""`edgesdk bundle cascade` and `edgesdk bundle ensemble`: several bundles made one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, plain, print_json, progress_line, table
from edgesdk.comparison.parts import split_artifact
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.together.doubt import Budget
    from edgesdk.together.members import Part
    from edgesdk_targets.bundle.manifest import Variant

_METAVAR = "BUNDLE[:VARIANT]"
OutputPath = Annotated[Path, typer.Option("--output", "-o", help="A .edgebundle file, or a folder.")]
TargetName = Annotated[str | None, typer.Option("--target", "-t", help="For this target only.")]
NewName = Annotated[str | None, typer.Option("--name", help="Name of the new bundle.")]
NewVersion = Annotated[str | None, typer.Option("--version", help="Version of the new bundle.")]


def cascade(
    small: Annotated[str, typer.Argument(metavar=_METAVAR, help="The model that is asked first.")],
    large: Annotated[
        str, typer.Argument(metavar=_METAVAR, help="The model that is asked where the first is in doubt.")
    ],
    output: OutputPath,
    data: Annotated[Path, typer.Option(help="Labelled pictures, by which the threshold is chosen.")],
    max_ms: Annotated[float | None, typer.Option(min=0, help="Mean time of a picture, at most.")] = None,
    max_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of pictures for the second model, at most.")
    ] = None,
    min_metric: Annotated[
        float | None, typer.Option(min=0, max=1, help="Accuracy, at least; as cheap as it goes.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="What may be lost against the second model; 0.01 where nothing is given."),
    ] = None,
    target: TargetName = None,
    name: NewName = None,
    version: NewVersion = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the inferences that are timed.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with the curve.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make one bundle of two classifiers: the small one answers, the large one is asked where that is in doubt."""
    from edgesdk.together.cascade import make_cascade
    from edgesdk.together.cascade_page import BUDGET_COLUMNS, budget_rows, cascade_page, said

    budget = _budget(max_ms, max_share, min_metric, max_drop)
    if report is not None:
        from edgesdk_targets.whole_file import check_writable

        check_writable(report, "--report")
    with ExitStack() as stack, progress_line("cascade", every_s=2.0) as say:
        first, second = (_part(text, stack) for text in (small, large))
        made = make_cascade(
            first, second, output, data, budget, target=target, name=name, version=version, threads=threads, say=say
        )
    if report is not None:
        cascade_page(made).write(report)
    if json:
        found = [one.to_json() for one in made.calibrated.values()]
        print_json(
            {"bundle": str(made.path), "digest": made.digest, "calibrated": found, "variants": _ids(made.variants)}
        )
        return
    for one in made.calibrated.values():
        console().print(f"{plain(one.variant)}: {said(one)}", highlight=False, markup=False, soft_wrap=True)
        shown = table(*BUDGET_COLUMNS)
        for row in budget_rows(one):
            add_row(shown, *row)
        console().print(shown)
    console().print(f"{made.path}  {made.digest}", highlight=False)
    if report is not None:
        note(f"report: {report}")
    next_command(f"edgesdk compare {small} {large} {made.path} --data {data}")


def ensemble(
    bundles: Annotated[list[str], typer.Argument(metavar=f"{_METAVAR}…", help="Classifiers with the same classes.")],
    output: OutputPath,
    rule: Annotated[str, typer.Option(help="average of their probabilities, or vote.")] = "average",
    target: TargetName = None,
    name: NewName = None,
    version: NewVersion = None,
    json: JsonFlag = False,
) -> None:
    """Make one bundle of several classifiers that are all asked about each picture."""
    from edgesdk.together.ensemble import make_ensemble

    if rule not in {"average", "vote"}:
        raise InputError(f"--rule {rule!r} is not known.", hint="average or vote.")
    with ExitStack() as stack:
        parts = [_part(text, stack) for text in bundles]
        made = make_ensemble(parts, rule, output, target=target, name=name, version=version)  # type: ignore[arg-type]
    if json:
        print_json({"bundle": str(made.path), "digest": made.digest, "variants": _ids(made.variants)})
        return
    console().print(f"{made.path}  {made.digest}", highlight=False)
    next_command(f"edgesdk compare {' '.join(bundles)} {made.path}")


def _part(text: str, stack: ExitStack) -> Part:
    from edgesdk.together.members import Part
    from edgesdk_targets.bundle.bundle import open_bundle

    path, variant = split_artifact(text)
    return Part(stack.enter_context(open_bundle(path)), variant)


def _budget(max_ms: float | None, max_share: float | None, min_metric: float | None, max_drop: float | None) -> Budget:
    from edgesdk.together.doubt import Budget

    named = {"--max-ms": max_ms, "--max-share": max_share, "--min-metric": min_metric, "--max-drop": max_drop}
    given = [option for option, value in named.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} each choose the threshold.", hint="Give one of them.")
    usual = Budget()
    return Budget(max_ms, max_share, min_metric, usual.drop if max_drop is None else max_drop)


def _ids(variants: tuple[Variant, ...]) -> list[str]:
    return [variant.id for variant in variants]
