"""`edgesdk card init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import next_command, note

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Draft the card that says what a model is."""


@app.command()
def init(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx, a .pt2, or a file of weights.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Card to write; printed unless given.")] = None,
    head: Annotated[str | None, typer.Option(help="Layout of a detector's outputs, where it is ambiguous.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing card.")] = False,
) -> None:
    """Draft a commented card from what a model file says of itself."""
    from edgesdk_converters.drafting.card_draft import draft_card
    from edgesdk_converters.sniff import sniff
    from edgesdk_targets.errors import InputError
    from edgesdk_targets.whole_file import write_whole

    sniff(model)
    # The paths in a card start at the card; a printed one is meant to lie beside the model.
    text = draft_card(model, head, folder=output.parent if output else None)
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    if output.exists() and not force:
        raise InputError(f"{output} exists already.", hint="Give another name, or --force.")
    write_whole(output, text.encode())
    note(f"{output} written; read its comments and correct what was guessed.")
    next_command(f"edgesdk convert {output} --target rpi5 -o out/")
