"""`edgesdk evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, note_choice, print_json, progress_line, table


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")],
    data: Annotated[
        Path, typer.Option(help="Labelled data: class folders, images/ + labels/ (YOLO), COCO JSON, or labels.csv.")
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Evaluate this target's variant.")] = None,
    variant: Annotated[str | None, typer.Option(help="Evaluate this variant.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads for one inference; 0 lets the runtime choose.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Measure a bundle's accuracy on labelled data, each figure with its 95 % interval."""
    from edgesdk.evaluate.dataset import open_dataset
    from edgesdk.evaluate.evaluate import AP_SCORE_THRESHOLD
    from edgesdk.evaluate.evaluate import evaluate as measure
    from edgesdk_targets.bundle.bundle import open_bundle
    from edgesdk_targets.model import load_model
    from edgesdk_targets.session import SessionOptions

    with open_bundle(bundle) as opened:
        manifest = opened.manifest
        dataset = open_dataset(data, task=manifest.task, labels=manifest.labels)
        # AP is the area under the whole curve: the bundle's own threshold would cut its tail off.
        scores = {"score_threshold": AP_SCORE_THRESHOLD} if manifest.task == "detect" else None
        options = SessionOptions(threads=threads)
        loaded = load_model(opened, target=target, variant=variant, options=options, postprocess=scores)
    with loaded as model:
        note_choice(model)
        with progress_line("evaluate", every_s=5.0) as say:
            card = measure(model, dataset, progress=lambda done, total: say(f"{done} of {total}"))
        if json:
            print_json({**card.to_json(), "variant": model.variant.id, "runtime": model.runtime.value})
            return
    rows = table("metric", "value", "95 % interval", "n")
    for name, figure in card.metrics.items():
        add_row(rows, name, f"{figure.value:.4f}", f"{figure.low:.4f} … {figure.high:.4f}", str(figure.n))
    console().print(rows)
