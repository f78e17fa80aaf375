"""How commands print: tables on stdout, progress and notes on stderr, `--json` as one document alone on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from edgesdk_targets.model import Model

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]


def console() -> Console:
    """Return the console for results (stdout)."""
    from rich.console import Console

    # Into a pipe or a file there is no width to fit; folded columns would only break `grep`.
    return Console(width=None if sys.stdout.isatty() else 200)


def errors_console() -> Console:
    """Return the console for progress, notes and errors (stderr)."""
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else 200)


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in the one style of all commands."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def add_row(made: Table, *cells: str) -> None:
    """Add a row whose cells are shown as they are: brackets are no markup, control characters have no effect."""
    from rich.text import Text

    made.add_row(*(Text(plain(cell)) for cell in cells))


def plain(text: str) -> str:
    """Return text from outside without control characters, which could rewrite a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def plain_lines(text: str) -> str:
    """Return text from outside that may have several lines, each as `plain` has it."""
    return "\n".join(plain(line) for line in text.splitlines())


def print_json(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def note(text: str) -> None:
    """Print a line for the person watching, to stderr."""
    errors_console().print(text, highlight=False, markup=False)


def note_choice(model: Model) -> None:
    """Say which variant runs, and why each other that was asked for does not."""
    note(f"{model.variant.id}, run by {model.runtime.value}")
    for variant, reason in model.choice.rejected:
        if variant in model.choice.not_asked_for:
            continue
        note(f"  not {plain(variant)}: {plain(reason)}")


def next_command(command: str) -> None:
    """Print the command that usually follows."""
    errors_console().print(f"Next: {command}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress_line(title: str, *, every_s: float = 0.0) -> Iterator[Callable[[str], None]]:
    """Show what long work is at: a spinner on a terminal, plain lines elsewhere; always on stderr.

    Args:
        every_s: in plain lines, at most one in so many seconds, where a count runs.
    """
    err = errors_console()
    if err.is_terminal:
        with err.status(title) as status:
            yield lambda line: status.update(f"{title}: {line}")
        return
    due = time.monotonic()

    def say(line: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + every_s
            err.print(f"{title}: {line}", highlight=False, markup=False)

    yield say


def size_text(size_bytes: float) -> str:
    """Write a number of bytes for a person."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.2f} GB"
