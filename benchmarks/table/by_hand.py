"""Phase "by_hand": what each tool's script of a few lines makes of the same model and pictures, judged on the same exam.

`edgesdk convert` is to be no worse. The float model's answers, the pictures, and what comes before and after the model are the
table's; the script sees the calibration pictures as they lie in their folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from edgesdk_converters.framework_edge import reason
from edgesdk_converters.proving.predictor import Predictor
from edgesdk_converters.quiet import quiet
from edgesdk_converters.reference import Reference, open_reference
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.tensor import Array
from table.build import Say
from table.prepared import Prepared
from table.scripts import SCRIPTS

_MOST_SAMPLES = 300


def judge_script(model: Prepared, family: str, say: Say) -> dict[str, Any]:
    """Let a family's script make its INT8 artifact, and judge it.

    Returns:
        `{"bytes", "figures"}`, or `{"failure"}`: scripts fail on some models.
    """
    exam, card = model.exam, model.source.card
    reference = open_reference(model.source)
    module = model.source.load()
    if not isinstance(module, torch.nn.Module):
        return {"failure": "the script starts from a torch module"}
    samples = _samples(model, reference)
    say(f"a script's INT8, {len(samples)} calibration pictures")
    with TemporaryDirectory(prefix="edgesdk-by-hand-") as folder:
        try:
            with quiet("by_hand"):
                made = SCRIPTS[family](module.eval(), samples, Path(folder))
        except Exception as error:  # noqa: BLE001  # a tool may raise anything, and that is what its user gets
            return {"failure": reason(error)}

        def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
            (given,) = feeds.values()
            return {spec.name: array for spec, array in zip(reference.outputs, made.run(given), strict=True)}

        predict = Predictor(
            run,
            reference.inputs,
            reference.outputs,
            card,
            model.source.card_file.labels,
            postprocess=judged_with(card.task),
        )
        figures = exam.figures(model.float_answers.results, exam.answers(predict))
    return {"bytes": made.size, "figures": {name: figure.to_json() for name, figure in figures.items()}}


def _samples(model: Prepared, reference: Reference) -> Array:
    """Return the first calibration pictures as the float model takes them, (N, *shape of the input)."""
    (image,) = reference.inputs
    preprocess = model.source.card.preprocess
    assert preprocess is not None  # noqa: S101  (every model of the table takes pictures)
    preprocessor, prepared = Preprocessor(preprocess, image), image.empty()
    found = []
    paths = sorted(path for path in model.calibration.rglob("*") if path.suffix in {".png", ".jpg"})
    for path in paths[:_MOST_SAMPLES]:
        preprocessor.into(read_image(path), prepared)
        found.append(prepared.copy())
    return np.stack(found)
