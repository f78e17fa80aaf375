"""`edgesdk data features`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.data_options import (
    DataPaths,
    EveryOption,
    ModelOption,
    PresetOption,
    ReportOption,
    SeedOption,
    WorkersOption,
    described,
    open_data,
)
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk.data.features.table import Features

_SHOWN = 15


def features(
    data: DataPaths,
    model: ModelOption = None,
    preset: PresetOption = None,
    choose: Annotated[
        str | None,
        typer.Option(help="Choose features: variance, mutual-information or elimination (with the classes)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many to choose.")] = 16,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write them as .npz.")] = None,
    report: ReportOption = None,
    map_: Annotated[str, typer.Option("--map", help="How the page's map is drawn: pca or tsne.")] = "pca",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    json: JsonFlag = False,
) -> None:
    """Describe pictures by numbers, choose among these, draw a map of the set.

    Without --model these are classical features: light, colour, texture, edges. With it, what the model's own backbone sees.

        edgesdk data features pictures/ --choose mutual-information -o features.npz --report map.html
    """
    from edgesdk.data.features.choosing import choose as chosen_by

    index = open_data(data, every, report)
    with progress_line("features", every_s=2.0) as say:
        found = described(index, model, preset, workers, say)
        scores: dict[str, float] = {}
        if choose is not None:
            places, values = chosen_by(found, choose, count, seed=seed)
            scores = {found.names[place]: float(values[place]) for place in places}
            found = found.columns(places)
        if report is not None:
            from edgesdk.data.features.plane import map_page, plane
            from edgesdk.report.place import page_path

            page = map_page(f"Map of {index.root.resolve().name}", found, plane(found, map_, seed=seed), map_, scores)
            note(f"report: {page.write(page_path(report, 'map', first=True))}")
    if output is not None:
        note(f"features: {found.write(output)}")
    for item, why in found.unread[:3]:
        note(f"left out: {item.name}: {why}")
    if json:
        print_json(_json(found, choose, scores))
        return
    _print(found, scores)
    next_command(f"edgesdk data select {' '.join(map(str, data))} --count 100 --list chosen.csv")


def _json(found: Features, way: str | None, scores: dict[str, float]) -> dict[str, object]:
    return {
        "pictures": len(found.items),
        "features": list(found.names),
        "way": way,
        "scores": scores,
        "unread": [{"name": item.name, "reason": why} for item, why in found.unread],
    }


def _print(found: Features, scores: dict[str, float]) -> None:
    out = console()
    pictures = "1 picture" if len(found.items) == 1 else f"{len(found.items)} pictures"
    out.print(f"{pictures}, {len(found.names)} features", highlight=False)
    if scores:
        # An elimination keeps its features without an order: all have one score.
        ranked = len(set(scores.values())) > 1
        shown = table("feature", *(["score"] if ranked else []))
        for name, score in list(scores.items())[:_SHOWN]:
            add_row(shown, name, *([f"{score:.4g}"] if ranked else []))
        out.print(shown)
        if len(scores) > _SHOWN:
            out.print(f"… and {len(scores) - _SHOWN} more: --report or --json lists them.", highlight=False)
