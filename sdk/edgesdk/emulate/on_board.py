"""Runs on the emulated board: checks variants against their golden sets, and answers for pictures.

    python on_board.py REQUEST.json EVENTS.jsonl

What happens is written line by line as it happens, so that after a crash it is known how far it came. Only `edgesdk_targets` is
imported, as on the board itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.results import Classification, Detections, Embedding, Regression, Result, Text
from edgesdk_targets.session import SessionOptions

# The board's four cores are threads of fewer real ones here, which would wait for each other by spinning.
_OPTIONS = SessionOptions(threads=1)


def answer_of(result: Result) -> dict[str, Any]:
    """Return a result's own numbers, not rounded as for people; labels are known to the reader."""
    if isinstance(result, Classification):
        return {"class_ids": result.class_ids.tolist(), "scores": result.scores.tolist()}
    if isinstance(result, Detections):
        numbers = {"class_ids": result.class_ids.tolist(), "scores": result.scores.tolist()}
        return {"boxes": result.boxes.tolist(), **numbers}
    if isinstance(result, Text):
        return {"text": result.text, "confidence": result.confidence}
    if isinstance(result, Embedding):
        return {"values": result.vector.tolist()}
    assert isinstance(result, Regression)  # noqa: S101  (no single model answers otherwise)
    return {"values": result.values.tolist()}


def result_of(task: str, answer: dict[str, Any], names: tuple[str, ...]) -> Result:
    """Return the result that `answer_of` wrote."""
    if task in {"classify", "detect"}:
        class_ids, scores = np.asarray(answer["class_ids"], np.int64), np.asarray(answer["scores"], np.float32)
        if task == "classify":
            return Classification(class_ids, scores, names)
        return Detections(np.asarray(answer["boxes"], np.float32).reshape(-1, 4), scores, class_ids, names)
    if task == "text":
        return Text(answer["text"], answer["confidence"])
    values = np.asarray(answer["values"], np.float32)
    return Embedding(values) if task == "embed" else Regression(values, names)


def main(request_file: Path, events_file: Path) -> None:
    """Do what the request says: each variant in turn."""
    request = json.loads(request_file.read_text("utf-8"))
    with events_file.open("w", encoding="utf-8") as events, open_bundle(request["bundle"]) as bundle:
        for variant in request["variants"]:

            def tell(event: str, *, variant: str = variant, **what: Any) -> None:
                events.write(json.dumps({"variant": variant, "event": event, **what}) + "\n")
                events.flush()

            try:
                tell("loading")
                _check(bundle, variant, request, tell)
                tell("done")
            except EdgeError as error:
                tell("error", message=error.message, hint=error.hint)


def _check(bundle: Bundle, variant: str, request: dict[str, Any], tell: Callable[..., None]) -> None:
    with load_model(bundle, variant=variant, options=_OPTIONS) as model:
        tell("loaded", runtime=model.runtime.value)
        tell("golden", report=check_golden(bundle, model).to_json())
    if not request["pictures"]:
        return
    with load_model(bundle, variant=variant, options=_OPTIONS, postprocess=request["postprocess"]) as model:
        for path in request["pictures"]:
            model.reset()
            tell("answer", answer=answer_of(model(read_image(path))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
