"""`edgesdk data split`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.data_options import DataPaths, EveryOption, LinkOption, SeedOption, WorkersOption, open_data, write_to
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk.data.index.item import Index

_CLASSES = 30


def split(
    data: DataPaths,
    shares: Annotated[str, typer.Option(help="Sets and their shares.")] = "train=0.8,val=0.1,test=0.1",
    folds: Annotated[int | None, typer.Option(help="Equal parts for cross-validation instead.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write each set to a folder in this new one.")
    ] = None,
    listing: Annotated[Path | None, typer.Option("--list", help="Write a CSV: file,split.")] = None,
    copies: Annotated[
        bool, typer.Option("--copies-together", help="Look for copies first, and keep each picture's in one set.")
    ] = False,
    seed: SeedOption = 0,
    link: LinkOption = False,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    json: JsonFlag = False,
) -> None:
    """Divide a set: each class in the same shares, what belongs together in one set.

    Together stay the pictures of one group (`groups.csv`, a column `group`) and the frames of one video.

        edgesdk data split pictures/ --shares train=0.7,test=0.3 -o divided/
    """
    from edgesdk.data.splitting import assign, parse_shares
    from edgesdk.data.splitting import folds as equal_shares
    from edgesdk.data.together import groups_of
    from edgesdk.data.writing.new_folder import check_new
    from edgesdk_targets.errors import InputError

    index = open_data(data, every)
    if output is not None:
        check_new(output, index)
    wanted = equal_shares(folds) if folds is not None else parse_shares(shares)
    with progress_line("split", every_s=2.0) as say:
        groups = groups_of(index, copies=copies, workers=workers, progress=say)
        chosen = assign([item.classes for item in index.items], groups, wanted, seed=seed)
        sets = {s.name: [i for i, name in zip(index.items, chosen, strict=True) if name == s.name] for s in wanted}
        empty = [name for name, items in sets.items() if not items]
        if empty:
            raise InputError(f"The set {empty[0]} would be empty.", hint="Give it a greater share, or more pictures.")
        if output is not None:
            write_to(output, index, sets, link=link, progress=say)
    if listing is not None:
        from edgesdk.data.writing.listing import write_list

        rows = [(item.name, name) for item, name in zip(index.items, chosen, strict=True)]
        note(f"list: {write_list(listing, ('file', 'split'), rows)}")
    counts = {name: Counter(c for item in items for c in item.classes) for name, items in sets.items()}
    absent = {name: [c for c in index.of_class() if not counts[name][c]] for name in sets}
    if json:
        classes = {name: {c: count[c] for c in index.names} for name, count in counts.items()}
        sizes = {name: len(items) for name, items in sets.items()}
        print_json(
            {"sets": sizes, "classes": classes, "absent": absent, "groups": len(set(groups) - {""}), "seed": seed}
        )
    else:
        _print(index, {name: len(items) for name, items in sets.items()}, counts)
    for name, missing in absent.items():
        if missing:
            note(f"{name} has no picture of {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}")
    if output is not None:
        note(f"written to {output}")
        next_command(f"edgesdk data dedup {output}")


def _print(index: Index, sizes: dict[str, int], counts: dict[str, Counter[str]]) -> None:
    shown = table("class", *sizes)
    for name, _ in index.of_class().most_common(_CLASSES):
        add_row(shown, name, *(str(counts[s][name]) for s in sizes))
    add_row(shown, "pictures", *(str(size) for size in sizes.values()))
    console().print(shown)
