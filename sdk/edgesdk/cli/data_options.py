"""Options that the commands of `edgesdk data` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgesdk.data.index.item import Index

DataPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Class folders, images/ + labels/ (YOLO), COCO JSON, labels.csv, videos or pictures; several are several sets.",
    ),
]
EveryOption = Annotated[int, typer.Option("--every", min=1, help="Of a video, take every n-th frame.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Threads; one a core unless given.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write an HTML page with thumbnails.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same answer.")]


def open_data(paths: list[Path], every: int, report: Path | None = None) -> Index:
    """List a dataset's pictures, after checking that a report can be written."""
    from edgesdk.data.index.open_index import open_index

    if report is not None:
        from edgesdk.report.place import check_report

        check_report(report)
    return open_index(paths, every=every)
