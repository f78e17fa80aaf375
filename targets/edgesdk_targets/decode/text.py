"""Text: what a model with CTC classes at each step has read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk_targets.decode.activation import activate, activation_of
from edgesdk_targets.decode.ctc import greedy_ctc, symbols_of
from edgesdk_targets.decode.heads.head import HeadSettings
from edgesdk_targets.decode.outputs import misfit, pick
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Text
from edgesdk_targets.tensor import Array, TensorSpec

EXPECTS = "one output `logits` (1, T, C), or (1, C) for a model that takes one frame a time"
_NAMES = ("logits", "log_probs", "probabilities", "output0", "output")
_SYMBOL = "symbol"


def _is_steps(spec: TensorSpec) -> bool:
    """Accept (1, T, C), PyTorch's time-major (T, 1, C), and (1, C)."""
    return len(spec.shape) in {2, 3} and 1 in spec.shape[:-1] and spec.shape[-1] >= 2


class TextDecoder:
    """Decode a reader's output.

    Raises:
        InputError: there is no such output, or the labels do not fit its classes.
    """

    def __init__(self, settings: HeadSettings, outputs: tuple[TensorSpec, ...]) -> None:
        post = settings.postprocess
        spec = pick(outputs, "logits", _NAMES, _is_steps, misfit("A text model", EXPECTS, outputs), post)
        classes = spec.shape[-1]
        symbols = symbols_of(settings.labels, classes, post.blank)
        if symbols is None:
            raise InputError(
                f"The model has {classes} CTC classes and the blank is number {post.blank}, but there are "
                f"{len(settings.labels)} labels.",
                hint=f"Give {classes - 1} labels (one a character, without the blank) or {classes}, and "
                f"postprocess.blank within 0..{classes - 1}.",
            )
        self._name = spec.name
        self._symbols = symbols
        self._blank = post.blank
        self._classes = classes
        self._activation = activation_of(spec.name, post.activation)

    def __call__(self, outputs: Mapping[str, Array], _geometry: Geometry | None, memory: dict[str, int] | None) -> Text:
        steps = outputs[self._name].reshape(-1, self._classes).astype(np.float32, copy=False)
        previous = memory.get(_SYMBOL) if memory is not None else None
        probabilities = np.nan_to_num(activate(steps, self._activation), nan=0.0)
        text, confidence, last = greedy_ctc(probabilities, self._symbols, self._blank, previous)
        if memory is not None:
            memory[_SYMBOL] = last
        return Text(text, confidence)
