"""A model that is not in a bundle yet, as a function from a picture to a decoded result.

The float source and a freshly built artifact are asked by the same code, which is that of the device: its
preprocessing and its decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk_converters.reference import open_reference
from edgesdk_converters.source import Source
from edgesdk_targets.card import ModelCard
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array, TensorSpec

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one picture.

    Attributes:
        prepared: the image input as the model got it.
        outputs: by logical name, the caller's own copies.
    """

    prepared: Array
    outputs: dict[str, Array]
    result: Result


def source_predictor(source: Source, postprocess: Mapping[str, Any]) -> Predictor:
    """Return a model that is not converted as a function from a picture to a result.

    Args:
        postprocess: replaces the card's own values.

    Raises:
        InputError: it does not load or run, does not take one picture, or its outputs do not fit its task.
    """
    reference = open_reference(source)
    return Predictor(
        reference.run,
        reference.inputs,
        reference.outputs,
        source.card,
        source.card_file.labels,
        postprocess=postprocess,
    )


class Predictor:
    """Ask a model about single pictures; recurrent state starts from zeros at each.

    Args:
        run: a session's or a reference's `run`.
        inputs, outputs: by logical name, as `run` takes and gives them.
        folded: normalisation is part of the model; it takes pixels.

    Raises:
        InputError: the model does not take one picture, or its outputs do not fit its task.
    """

    def __init__(
        self,
        run: Run,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        card: ModelCard,
        labels: tuple[str, ...],
        *,
        folded: bool = False,
        postprocess: Mapping[str, Any] | None = None,
    ) -> None:
        states = {state.input for state in card.state}
        images = [spec for spec in inputs if spec.name not in states]
        if len(images) != 1 or card.preprocess is None:
            raise InputError(
                f"{card.name} takes {[spec.name for spec in images]}, and not one picture.",
                hint="Give the card a `preprocess`, and declare the other inputs under `state`.",
            )
        self._run = run
        self._image = images[0]
        self._prepared = self._image.empty()
        self._zeros = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in inputs if spec.name in states}
        self._preprocessor = Preprocessor(card.preprocess, self._image, folded=folded)
        carried = {state.output for state in card.state}
        settings = Postprocess.model_validate({**card.postprocess.model_dump(), **(postprocess or {})})
        decoded = tuple(spec for spec in outputs if spec.name not in carried)
        self._decoder = Decoder(card.task, settings, labels, decoded, card.preprocess.size)

    def __call__(self, image: Array) -> Result:
        """Return the decoded answer to a picture, (H, W, 3) uint8 BGR."""
        return self.answer(image).result

    def answer(self, image: Array) -> Answer:
        """Return the answer with what led to it."""
        geometry = self._preprocessor.into(image, self._prepared)
        raw = self._run({self._image.name: self._prepared, **self._zeros})
        outputs = {name: array.copy() for name, array in raw.items()}
        return Answer(self._prepared.copy(), outputs, self._decoder(outputs, geometry, {}))
