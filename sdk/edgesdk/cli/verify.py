"""`edgesdk verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, print_json, progress_line, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesdk.emulate.root import EmulatedBoard
    from edgesdk.verify.verification import Verification

_EXIT = {"pass": 0, "fail": 3, "cannot run": 4}


def verify(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target's variants.")] = None,
    variant: Annotated[str | None, typer.Option(help="Only this variant.")] = None,
    data: Annotated[Path | None, typer.Option(help="Labelled data: evaluate on it as well.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads for one inference; 0 lets the runtime choose.")] = 0,
    emulate: Annotated[
        str | None, typer.Option(metavar="BOARD", help="Check on an emulated board: rpi5, rpi4 or rpi-zero2w.")
    ] = None,
    setup: Annotated[bool, typer.Option("--setup", help="Fetch what the emulated board needs (about 150 MB).")] = False,
    apt_sources: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --setup: an apt list that has Debian's arm64 packages.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Check that a bundle's variants give here the answers that they gave when they were built."""
    if emulate is None and (setup or apt_sources):
        raise typer.BadParameter("--setup and --apt-sources go with --emulate BOARD.")
    if bundle is None and not setup:
        raise typer.BadParameter("name a BUNDLE.")
    if apt_sources and not setup:
        raise typer.BadParameter("--apt-sources goes with --setup.")
    with progress_line("verify") as say:
        board = _board(emulate, setup, apt_sources, say) if emulate is not None else None
    if bundle is None:
        if json:
            print_json({"board": emulate, "python": str(board.python) if board else None})
        next_command(f"edgesdk verify BUNDLE --emulate {emulate}")
        return
    with progress_line("verify") as say:
        if board is not None:
            from edgesdk.verify.emulated import verify_emulated

            found = verify_emulated(bundle, board, target=target, variant=variant, data=data, say=say)
        else:
            from edgesdk.verify.here import verify_here

            found = verify_here(bundle, target=target, variant=variant, data=data, threads=threads, say=say)
    if json:
        print_json(found.to_json())
    else:
        _print(found)
    raise typer.Exit(_EXIT[found.verdict])


def _board(name: str, setup: bool, apt_sources: Path | None, say: Callable[[str], None]) -> EmulatedBoard:
    from edgesdk.emulate.board import find_board
    from edgesdk.emulate.debian import check_programs
    from edgesdk.emulate.root import FETCHES, default_folder, find_emulated, set_up
    from edgesdk_targets.errors import InputError

    board = find_board(name)
    if setup:
        return set_up(board, say=say, sources=apt_sources)
    check_programs()
    found = find_emulated(board)
    if found is None:
        raise InputError(
            f"The emulated {board.target} is not set up.",
            hint=f"edgesdk verify --emulate {board.target} --setup (fetches {FETCHES} into {default_folder()})",
        )
    return found


def _print(found: Verification) -> None:
    rows = table("variant", "run by", "status", "verdict", "found")
    for one in found.variants:
        add_row(rows, one.variant.id, one.runtime or "-", one.status, one.verdict, one.in_words())
    out = console()
    out.print(rows)
    measured = [one for one in found.variants if one.scorecard is not None]
    if measured:
        figures = table("variant", "metric", "value", "95 % interval", "n")
        for one in measured:
            for name, figure in one.scorecard.metrics.items() if one.scorecard else ():
                add_row(figures, one.variant.id, name, *figure.in_words(), str(figure.n))
        out.print(figures)
    for name, reason in found.skipped:
        note(f"not checked: {name}: {reason}")
    for one in found.variants:
        if one.hint:
            note(f"{one.variant.id}: {one.hint}")
    if any(one.status == "emulated" for one in found.variants):
        note("emulated: the numbers are the board's own; how long it took says nothing about the board")
