"""A model's preallocated input: a picture is prepared into it, and the model is asked about what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Result
from edgesdk_targets.session import Binding, StartedBinding
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from edgesdk_targets.batch import BatchBinding
    from edgesdk_targets.model import Model


class Slot:
    """One preallocated input of a model: filled by one thread while another slot is inferred by another."""

    def __init__(self, model: Model, binding: Binding) -> None:
        self._model = model
        # Of the bundle whose answers come from here.
        self.digest = model.digest
        self.on_caller = model.on_caller
        self.starts_ahead = model.starts_ahead
        self._binding = binding
        self._preprocessor = model.new_preprocessor()
        # A frame of a clip is kept beside the runtime's memory until the clip is full.
        self._image = binding.inputs[model.image_input] if model.manifest.window is None else model.frame_spec.empty()
        self._geometry: Geometry | None = None
        self._own = [(model.preprocessor_of(own), binding.inputs[own.tensor.name]) for own in model.own_pictures]

    def prepare(self, image: Array) -> None:
        """Preprocess a picture, (H, W, 3) uint8 BGR, straight into the slot's memory."""
        self._geometry = self._preprocessor.into(image, self._image)
        for preprocessor, place in self._own:
            preprocessor.into(image, place)

    def start(self) -> None:
        """Start the model on what was prepared, and return at once: for a slot that `starts_ahead`."""
        cast("StartedBinding", self._binding).start()

    @property
    def ran_s(self) -> float:
        """How long the last inference took from its start, seconds: for a slot that `starts_ahead`."""
        return cast("StartedBinding", self._binding).ran_s

    def infer(self, camera: str = "default", seq: int = 0) -> Result | None:
        """Run the model on what was prepared, or wait for it where it was started, and decode the answer.

        None where the frame was taken into a clip only.

        Args:
            camera: whose recurrent state or clip is used.
            seq: the frame's number; a gap starts the state or clip again where the card says so.
        """
        if self._model.manifest.window is not None:
            return self._model.infer_clip(self._binding, self._image, self._geometry, camera, seq)
        return self._model.infer(self._binding, self._geometry, camera, seq)

    def infer_together(self, images: Sequence[Array]) -> list[Result]:
        """Answer for several pictures, (H, W, 3) uint8 BGR, by one inference; for at most as many as the variant takes."""
        binding = cast("BatchBinding", self._binding)
        name = self._model.image_input
        geometries = [
            self._preprocessor.into(image, row[name]) for image, row in zip(images, binding.rows, strict=False)
        ]
        answers = zip(binding.run_rows(), geometries, strict=False)
        return [self._model.decode(outputs, geometry) for outputs, geometry in answers]
