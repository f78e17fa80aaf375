"""The pictures that INT8 ranges are measured on, chosen for this model, as its inputs.

They are chosen to be different in the eyes of the model itself, and never overlap with the evaluation data: a range that
was fitted to the very pictures it is judged on proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesdk_converters.calibration.calibration_set import CalibrationSet, open_calibration, overlap
from edgesdk_converters.calibration.features import backbone_features
from edgesdk_converters.calibration.samples import samples_of
from edgesdk_converters.child import run_step
from edgesdk_converters.reference import Reference
from edgesdk_converters.source import Source
from edgesdk_converters.steps.int8_onnx_ranges import Ranges, measure_ranges
from edgesdk_converters.steps.litert_ranges import Ranges as LiteRtRanges
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.workshop import Progress, Workshop
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.tensor import Array

_SHOWN_PICTURES = 16


class Calibrating:
    """A calibration set for one model.

    Attributes:
        pictures: the chosen ones.
        record: what goes into the bundle's provenance.
        warnings: what makes the ranges doubtful.
    """

    def __init__(self, pictures: CalibrationSet, source: Source, reference: Reference, folder: Path) -> None:
        self.pictures = pictures
        self.record: Mapping[str, object] = pictures.record
        self.warnings: tuple[str, ...] = tuple(pictures.warnings)
        self._source = source
        self._reference = reference
        self._folder = folder
        self._samples: Mapping[str, Array] | None = None
        self._ranges: dict[str, Ranges] = {}
        self._litert_ranges: dict[str, LiteRtRanges] = {}

    @property
    def digest(self) -> str:
        """Names the chosen pictures, in their order."""
        return self.pictures.digest

    def to_json(self) -> dict[str, object]:
        """Return what ranges measured here depend on."""
        card = self._source.card
        preprocess = card.preprocess.model_dump(mode="json") if card.preprocess else None
        return {
            "pictures": self.digest,
            "preprocess": preprocess,
            "state": [state.model_dump(mode="json") for state in card.state],
        }

    def samples(self) -> Mapping[str, Array]:
        """Return input name → (N, *shape), the source model's inputs, made once and kept in files."""
        if self._samples is None:
            self._samples = samples_of(
                self.pictures,
                self._reference.inputs,
                self._source.card,
                states_from=self._reference.run,
                folder=self._folder,
            )
        return self._samples

    def ranges(self, model: bytes) -> Ranges:
        """Return the value ranges of an ONNX model's tensors over all samples; measured once for each model."""
        key = hashlib.sha256(model).hexdigest()
        if key not in self._ranges:
            self._ranges[key] = measure_ranges(model, self.samples())
        return self._ranges[key]

    def litert_ranges(self, model: bytes, fold: Fold | None) -> LiteRtRanges:
        """Return those of a LiteRT model's tensors, measured in a process of its own; once for each model."""
        key = hashlib.sha256(model).hexdigest()
        if key not in self._litert_ranges:
            step = "edgesdk_converters.steps.litert_ranges:measure_ranges"
            self._litert_ranges[key] = run_step(step, content=model, samples=self.samples(), fold=fold)
        return self._litert_ranges[key]

    def some_pictures(self, count: int = _SHOWN_PICTURES) -> list[Array]:
        """Return some of the pictures; the first ones differ from each other the most."""
        return [self.pictures.picture(place) for place in range(min(count, len(self.pictures)))]


def calibrate(
    source_of_pictures: Any,
    count: int,
    source: Source,
    reference: Reference,
    workshop: Workshop,
    folder: Path,
    *,
    evaluation: Sequence[Path],
    say: Progress,
) -> Calibrating:
    """Choose the calibration pictures.

    Args:
        source_of_pictures: a folder, a video, an array file, or an iterable of pictures.
        folder: for the model inputs; the caller removes it.
        evaluation: files of pictures that must not be among them.

    Raises:
        InputError: there are no usable pictures, the model takes none, or some are evaluated on, too.
    """
    features = _features(source, reference, workshop)
    chosen = open_calibration(source_of_pictures, count=count, features=features, progress=say)
    _refuse_overlap(chosen, evaluation)
    say(f"calibration: {len(chosen)} pictures")
    return Calibrating(chosen, source, reference, folder)


def _features(source: Source, reference: Reference, workshop: Workshop) -> Any:
    """Return picture → what the model's own backbone makes of it."""
    card = source.card
    states = {state.input for state in card.state}
    image = next((spec for spec in reference.inputs if spec.name not in states), None)
    if card.preprocess is None or image is None:
        raise InputError(
            f"{card.name} takes no picture, so its ranges cannot be measured on pictures.",
            hint="Give the card a `preprocess`, or use --precision fp16.",
        )
    of_input = backbone_features(workshop.onnx())
    preprocessor, prepared = Preprocessor(card.preprocess, image), image.empty()

    def of_picture(picture: Array) -> Array:
        preprocessor.into(picture, prepared)
        features: Array = of_input(prepared)
        return features

    return of_picture


def _refuse_overlap(chosen: CalibrationSet, evaluation: Sequence[Path]) -> None:
    shared = overlap(chosen, evaluation)
    if shared:
        raise InputError(
            f"{len(shared)} calibration pictures are in the evaluation data too, or nearly so; one is {shared[0]}.",
            hint="Keep the two sets apart: a gate that is asked about the calibration pictures proves nothing.",
        )
