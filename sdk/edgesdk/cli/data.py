"""`edgesdk data`: the group; each command has a file of its own."""

from __future__ import annotations

import typer

from edgesdk.cli.data_check import check
from edgesdk.cli.data_clean import clean
from edgesdk.cli.data_compress import compress
from edgesdk.cli.data_dedup import dedup
from edgesdk.cli.data_features import features
from edgesdk.cli.data_select import select
from edgesdk.cli.data_split import split

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(check)
app.command()(dedup)
app.command()(clean)
app.command()(compress)
app.command()(split)
app.command()(features)
app.command()(select)


@app.callback()
def _group() -> None:
    """Check, clean, compress, divide and choose pictures before a model is made of them."""
