"""Decode a model's outputs into a `Result`, whatever its task.

Which output is what is settled when the decoder is made; a model whose outputs do not fit is refused there, before
the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgesdk_targets.decode.classify import ClassifyDecoder
from edgesdk_targets.decode.detect import DetectDecoder
from edgesdk_targets.decode.heads.head import HeadSettings
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.decode.text import TextDecoder
from edgesdk_targets.decode.vector import EmbedDecoder, RegressDecoder
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array, TensorSpec

_TaskDecoder = Callable[[Mapping[str, Array], "Geometry | None", "dict[str, int] | None"], Result]
_TASKS: dict[str, Callable[[HeadSettings, tuple[TensorSpec, ...]], _TaskDecoder]] = {
    "classify": ClassifyDecoder,
    "detect": DetectDecoder,
    "text": TextDecoder,
    "embed": EmbedDecoder,
    "regress": RegressDecoder,
}
TASKS = tuple(_TASKS)


class Decoder:
    """Decode one model's outputs.

    Args:
        task: one of `TASKS`.
        postprocess: the card's block.
        labels: one a class, in the model's order; may be empty except for text.
        outputs: the model's outputs without state tensors.
        input_size: height, width of the image input, pixels; None where there is no image.

    Raises:
        InputError: unknown task or head, or outputs that the head cannot read.
    """

    def __init__(
        self,
        task: str,
        postprocess: Postprocess,
        labels: tuple[str, ...],
        outputs: tuple[TensorSpec, ...],
        input_size: tuple[int, int] | None,
    ) -> None:
        make = _TASKS.get(task)
        if make is None:
            raise InputError(f"There is no task {task!r}.", hint=f"Tasks: {', '.join(TASKS)}.")
        # `--head classify` is how an ambiguous output is told to be a classifier's, so a task's own name is no error.
        if task != "detect" and postprocess.head not in {None, task}:
            raise InputError(
                f"postprocess.head is {postprocess.head!r}, but only a detector has heads; the task is {task!r}.",
                hint="Remove postprocess.head, or set task: detect.",
            )
        self.task = task
        self._decode = make(HeadSettings(postprocess, labels, input_size), outputs)

    def keep_weak(self, score: float) -> None:
        """Have a detector give detections below its threshold too, from this score on, as `Detections.weak`."""
        if isinstance(self._decode, DetectDecoder):
            self._decode.keep_weak(score)

    def __call__(
        self,
        outputs: Mapping[str, Array],
        geometry: Geometry | None,
        memory: dict[str, int] | None = None,
    ) -> Result:
        """Decode one frame's outputs; nothing of them is kept.

        Args:
            outputs: arrays by logical name, of the shapes given at the start.
            geometry: the map to the original image; None leaves boxes in pixels of the input.
            memory: of one camera's stream, kept by the caller between frames; cleared by it at a reset.
        """
        # Half precision may overflow: what is infinite or undefined is left out below, without a warning a frame.
        with np.errstate(invalid="ignore", over="ignore"):
            return self._decode(outputs, geometry, memory)
