"""Options that the commands of `edgesdk data` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import note

if TYPE_CHECKING:
    from edgesdk.data.features.table import Features
    from edgesdk.data.index.item import Index, Item

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
LinkOption = Annotated[
    bool, typer.Option("--link", help="Hard links instead of copies, where the file system lets it: no space is taken.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option(metavar="CARD|BUNDLE|ONNX", help="Describe pictures by what this model's own backbone sees."),
]
PresetOption = Annotated[
    str | None, typer.Option(help="How pictures are prepared for an .onnx, such as imagenet or zero-one.")
]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same answer.")]


def open_data(paths: list[Path], every: int, report: Path | None = None) -> Index:
    """List a dataset's pictures, after checking that a report can be written."""
    from edgesdk.data.index.open_index import open_index

    if report is not None:
        from edgesdk.report.place import check_report

        check_report(report)
    return open_index(paths, every=every)


def by_split(index: Index, items: Sequence[Item]) -> dict[str, list[Item]]:
    """Return items by the sets that they lie in, and say where those go that are in none."""
    from edgesdk.data.writing.new_folder import UNLISTED, sets_of

    sets = sets_of(index, items)
    if "" in index.splits and "" not in sets and sets[UNLISTED]:
        note(f"{len(sets[UNLISTED])} pictures are in no set: they go to the folder {UNLISTED}")
    return sets


def write_to(
    folder: Path, index: Index, sets: Mapping[str, Sequence[Item]], *, link: bool, progress: Callable[[str], None]
) -> dict[str, int]:
    """Write pictures to a new folder, each set to a folder of its own in it ("" to the folder itself); return how many."""
    from edgesdk.data.writing.new_folder import new_folder, set_folder
    from edgesdk.data.writing.put import copied
    from edgesdk.data.writing.subset import write_subset

    written = {}
    with new_folder(folder) as place:
        for name, items in sets.items():
            written[name] = write_subset(index, items, set_folder(place, name), copied(progress, link=link))
    return written


def described(
    index: Index, model: Path | None, preset: str | None, workers: int | None, progress: Callable[[str], None]
) -> Features:
    """Describe each picture: by classical features, or by what a model sees."""
    from edgesdk.data.features.table import describe

    if model is None:
        return describe(index, workers=workers, progress=progress)
    from edgesdk.data.features.embedding import embedding_of

    return describe(index, embedding_of(model, preset), workers=workers, progress=progress)
