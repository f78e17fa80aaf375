"""`edgesdk data select`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.data_options import (
    DataPaths,
    EveryOption,
    LinkOption,
    ModelOption,
    PresetOption,
    WorkersOption,
    by_split,
    described,
    open_data,
    write_to,
)
from edgesdk.cli.output import JsonFlag, console, next_command, note, print_json, progress_line


def select(
    data: DataPaths,
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write them to this new folder, with labels.")
    ] = None,
    listing: Annotated[
        Path | None, typer.Option("--list", help="Write a CSV: file,rank; the first n are a choice of n.")
    ] = None,
    model: ModelOption = None,
    preset: PresetOption = None,
    link: LinkOption = False,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    json: JsonFlag = False,
) -> None:
    """Choose few pictures that cover the set: each further one is the farthest from those chosen (k-centre).

    Pictures to label first, to calibrate on, or the frames of a video that differ.

        edgesdk data select pictures/ --count 50 -o chosen/
    """
    from edgesdk.data.selecting import select as chosen_by
    from edgesdk.data.writing.new_folder import check_new

    index = open_data(data, every)
    if output is not None:
        check_new(output, index)
    with progress_line("select", every_s=2.0) as say:
        chosen = chosen_by(described(index, model, preset, workers, say), count)
        if output is not None:
            write_to(output, index, by_split(index, chosen.items), link=link, progress=say)
    if listing is not None:
        from edgesdk.data.writing.listing import write_list

        rows = [(item.name, rank) for rank, item in enumerate(chosen.items, 1)]
        note(f"list: {write_list(listing, ('file', 'rank'), rows)}")
    if json:
        print_json(chosen.to_json())
        return
    out = console()
    out.print(
        f"{len(chosen.items)} of {len(index)} pictures; no other is farther than {chosen.radius:.3g} from one of them,"
    )
    out.print(
        f"where the same number drawn at random leaves {chosen.random_radius:.3g} (median of {chosen.draws} draws)"
    )
    if output is not None:
        note(f"written to {output}")
        next_command(f"edgesdk data check {output}")
    elif listing is None:
        for item in chosen.items:
            out.print(item.name, highlight=False, markup=False)
