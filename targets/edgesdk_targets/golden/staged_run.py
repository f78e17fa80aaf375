"""Run a model on prepared pixels, with its state, as the golden set prescribes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.card import Task
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.golden.exact_input import input_of
from edgesdk_targets.preprocess.geometry import place
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.results import Result
from edgesdk_targets.state import StateSpec
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.own_picture import own_pictures
from edgesdk_targets.together.spec import Together
from edgesdk_targets.window import WindowSpec

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a model's numbers mean, of a card or a manifest.

    Attributes:
        preprocess: None where the model takes no picture.
        own_preprocess: by the inputs that members of several models have of their own.
    """

    task: Task
    preprocess: Preprocess | None
    postprocess: Postprocess
    labels: tuple[str, ...]
    state: tuple[StateSpec, ...]
    window: WindowSpec | None = None
    own_preprocess: Mapping[str, Preprocess] | None = None


class StagedRun:
    """A model as a function from prepared pixels to raw outputs and a decoded result.

    Args:
        run: of a session or a reference; by logical names.
        folded: normalisation is part of the model.
        together: of a variant that is several models.

    Raises:
        InputError: the model does not take one picture.
    """

    def __init__(
        self,
        run: Run,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        meaning: Meaning,
        *,
        folded: bool = False,
        together: Together | None = None,
    ) -> None:
        states = {state.input for state in meaning.state}
        self.own = own_pictures(meaning.own_preprocess, inputs, together)
        apart = states | {own.tensor.name for own in self.own}
        images = [spec for spec in inputs if spec.name not in apart]
        if len(images) != 1 or meaning.preprocess is None:
            raise InputError(f"The model takes {[spec.name for spec in images]}, and not one picture.")
        # What one picture becomes: the input, or one frame of it.
        self.image = images[0] if meaning.window is None else meaning.window.frame_of(images[0])
        self.folded = folded
        self._run = run
        self._zeros = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in inputs if spec.name in states}
        self._meaning = meaning
        self._preprocess = meaning.preprocess
        carried = {state.output for state in meaning.state}
        decoded = tuple(spec for spec in outputs if spec.name not in carried)
        self._decoder = Decoder(meaning.task, meaning.postprocess, meaning.labels, decoded, meaning.preprocess.size)

    def answer(
        self,
        pixels: Array,
        made_with: Preprocess,
        image_size: tuple[int, int],
        frames: int,
        own: Mapping[str, Array] | None = None,
    ) -> tuple[dict[str, Array], Result]:
        """Return outputs (the caller's own) and result of the last of `frames` showings, state starting from zeros.

        Args:
            pixels: of `exact_pixels`, (h, w, channels); for a model that takes clips one more dimension in front, the frames.
            made_with: how mean and std are applied.
            image_size: height, width of the picture.
            own: pixels of each input that a member has of its own.
        """
        feeds = {self.image.name: self._input(pixels, made_with), **self._zeros}
        feeds |= {
            one.tensor.name: input_of((own or {})[one.tensor.name], one.preprocess, one.tensor, folded=one.folded)
            for one in self.own
        }
        geometry = place(self._preprocess, image_size).geometry
        memory: dict[str, int] = {}
        # A clip is shown once: it has its frames in it.
        for _ in range(1 if self._meaning.window else frames):
            outputs = {name: np.array(array) for name, array in self._run(feeds).items()}
            result = self._decoder(outputs, geometry, memory)
            feeds |= {state.input: outputs[state.output] for state in self._meaning.state}
        return outputs, result

    def _input(self, pixels: Array, made_with: Preprocess) -> Array:
        window = self._meaning.window
        if window is None:
            return input_of(pixels, made_with, self.image, folded=self.folded)
        return window.clip_of([input_of(one, made_with, self.image, folded=self.folded) for one in pixels])
