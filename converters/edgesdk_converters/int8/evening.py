"""Whether a model's channels are evened out before it is quantised: only where that was measured to help."""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk_converters.int8.closeness import Closeness
from edgesdk_converters.steps.even_channels import even_channels
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.tensor import Array

# Less than this may be a loss on other pictures: MobileNetV2, whose Clips leave little to even out, gains 1.3 dB here, and on
# pictures unlike these loses 1.7 points of agreement. FastestDet gains 3.3 dB, UltraFace 7.
_WORTH_DB = 2.0


def evened_where_better(model: bytes, samples: Mapping[str, Array], head: str | None) -> bytes:
    """Return the float model with its channels evened out, or the same bytes where that does not pay.

    Both are quantised for ONNX Runtime and compared with the float model, on samples that gave no ranges where there are
    enough of them.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input).
        head: layout of a detector's output, which tells its channel groups.

    Raises:
        InputError: it is no ONNX model, or samples do not fit.
    """
    try:
        even = even_channels(model, samples)
        if even == model:
            return model
        closeness = Closeness(model, samples, head)
        gain = closeness.of(even) - closeness.of(model)
    except StepFailed:
        return model  # what fails here fails in the quantiser, which says it better
    return even if gain >= _WORTH_DB else model
