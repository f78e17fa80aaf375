"""`edgesdk data clean`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.data_options import DataPaths, EveryOption, LinkOption, WorkersOption, by_split, open_data, write_to
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk.data.clean import Cleaned
    from edgesdk.data.index.item import Item


def clean(
    data: DataPaths,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a cleaned copy to this new folder.")
    ] = None,
    drop: Annotated[
        str, typer.Option(help="What goes, separated by commas: faults, copies, or kinds of `edgesdk data check`.")
    ] = "faults,copies",
    link: LinkOption = False,
    listing: Annotated[
        Path | None, typer.Option("--list", help="Write a CSV of all pictures, with what went and why.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete what goes from the originals; nothing else does.")
    ] = False,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the set without what was found; originals stay, unless --delete is given.

    Without -o, --list and --delete it only says what would go.

        edgesdk data clean pictures/ --drop faults,copies,tiny -o cleaned/
    """
    from edgesdk.data.clean import clean as cleaned_by
    from edgesdk.data.writing.new_folder import check_new
    from edgesdk_targets.errors import InputError

    if output is not None and delete:
        raise InputError(
            "--delete and -o are two ways to clean.", hint="Write a copy first, and delete when it is right."
        )
    index = open_data(data, every)
    if output is not None:
        check_new(output, index)
    with progress_line("clean", every_s=2.0) as say:
        cleaned = cleaned_by(index, [word.strip() for word in drop.split(",")], workers=workers, progress=say)
        written = (
            write_to(output, index, by_split(index, cleaned.kept), link=link, progress=say)
            if output is not None
            else {}
        )
    if listing is not None:
        from edgesdk.data.writing.listing import write_list

        why = dict(cleaned.dropped)
        rows = [(item.name, item.split, why.get(item, "")) for item in index.items]
        note(f"list: {write_list(listing, ('file', 'split', 'dropped'), rows)}")
    deleted = _deleted(cleaned, json) if delete else 0
    if json:
        print_json({**cleaned.to_json(), "written": sum(written.values()), "deleted": deleted})
        return
    _print(cleaned)
    if output is not None:
        note(f"{sum(written.values())} pictures written to {output}")
        next_command(f"edgesdk data split {output} --shares train=0.8,val=0.1,test=0.1 -o OUT")
    elif delete:
        note(f"{deleted} pictures deleted")
        if deleted < len(cleaned.dropped):
            note(
                f"{len(cleaned.dropped) - deleted} stay: pictures that stay are links to them, or they lie behind a link"
            )
    elif listing is None:
        note("Nothing was written: give -o OUT, --list FILE or --delete.")


def _deleted(cleaned: Cleaned, json: bool) -> int:
    """Delete what goes; an error in the middle is told with how many went, in the document of `--json` too."""
    from edgesdk.data.clean import delete
    from edgesdk_targets.errors import EdgeError

    gone: list[Item] = []
    try:
        return delete(cleaned, gone)
    except EdgeError:
        if json:
            print_json({**cleaned.to_json(), "written": 0, "deleted": len(gone)})
        raise


def _print(cleaned: Cleaned) -> None:
    out = console()
    out.print(f"{len(cleaned.kept)} of {len(cleaned.index)} pictures stay", highlight=False)
    doubtful = sum(why.endswith("its label is another") for _, why in cleaned.dropped)
    if doubtful:
        note(
            f"{doubtful} copies have another label than the picture that stays: one of the two is wrong; --list names them"
        )
    if cleaned.dropped:
        shown = table("why", "how many", "such as")
        kinds = Counter(why.split(":")[0].split(" of ")[0] for _, why in cleaned.dropped)
        first = {why.split(":")[0].split(" of ")[0]: item.name for item, why in reversed(cleaned.dropped)}
        for kind, count in kinds.most_common():
            add_row(shown, kind, str(count), first[kind])
        out.print(shown)
