"""`edgesdk data compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.data_options import DataPaths, WorkersOption, open_data
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, print_json, progress_line, size_text, table


def compress(
    data: DataPaths,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the compressed set.")],
    ssim: Annotated[
        float, typer.Option(help="The least similarity of each picture to its original, at most 1.")
    ] = 0.98,
    format_: Annotated[str, typer.Option("--format", help="jpeg or webp.")] = "jpeg",
    workers: WorkersOption = None,
    json: JsonFlag = False,
) -> None:
    """Encode pictures again, each as small as a bound on SSIM allows.

    What would not be smaller, or has transparency or more than 8 bits, stays as it is; labels go along.

        edgesdk data compress pictures/ --ssim 0.98 -o small/
    """
    from edgesdk.data.compress import compress as compressed_to
    from edgesdk.data.writing.new_folder import check_new

    index = open_data(data, 1)
    check_new(output, index)
    with progress_line("compress", every_s=2.0) as say:
        done = compressed_to(index, output, bound=ssim, kind=format_, workers=workers, progress=say)
    told = done.to_json()
    if json:
        print_json(told)
        return
    shown = table("", "")
    shown.show_header = False
    add_row(shown, "pictures", f"{told['encoded']} encoded, {told['kept']} as they were")
    add_row(shown, "size", f"{size_text(done.before_bytes)} → {size_text(done.after_bytes)}, {told['saved']:.1%} saved")
    lowest = min((one.similarity for one in done.pictures if one.similarity is not None), default=None)
    if lowest is not None:
        add_row(shown, "SSIM", f"{lowest:.4f} at least; median quality {told['quality_median']:.0f}")
    console().print(shown)
    next_command(f"edgesdk data check {output}")
