"""Whether weights chosen for 8 bits are taken: only where that was measured to help.

Training against the float model's own answers belongs here, too: it takes a model and samples, and gives a model with the same
nodes and other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk_converters.int8.closeness import Closeness
from edgesdk_converters.steps.centred_channels import centred_channels
from edgesdk_converters.steps.tuned_weights import tuned_weights
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.tensor import Array

# Less than this may be a loss on other pictures.
_WORTH_DB = 0.5


@dataclass(frozen=True, slots=True)
class Tuned:
    """A float model made ready for 8 bits.

    Attributes:
        model: the ONNX with the weights chosen.
        base: the same before its weights were rounded: its answers are those of the float model.
        gain_db: by how much the worst output came closer to float, on samples that chose nothing; 0 where nothing was taken.
    """

    model: bytes
    base: bytes
    gain_db: float


def tuned_where_better(model: bytes, samples: Mapping[str, Array], head: str | None) -> Tuned:
    """Choose a float model's weights for 8 bits, with its channels as they are and centred; take the best, if it pays.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input).
        head: layout of a detector's output, which tells its channel groups.

    Raises:
        InputError: it is no ONNX model, or samples do not fit.
    """
    nothing = Tuned(model, model, 0.0)
    try:
        closeness = Closeness(model, samples, head)
        plain = closeness.of(model)
        tries = [nothing]
        for base in dict.fromkeys([model, centred_channels(model, closeness.seen)]):
            tuned = tuned_weights(base, closeness.seen)
            if tuned != base:
                tries.append(Tuned(tuned, base, closeness.of(tuned) - plain))
    except StepFailed:
        return nothing  # what fails here fails in the quantiser, which says it better
    best = max(tries, key=lambda one: one.gain_db)
    return best if best.gain_db >= _WORTH_DB else nothing
