"""What a stage may return, and how something else is told."""

from __future__ import annotations

import numpy as np


def is_picture(value: object) -> bool:
    """Say whether it is (H, W, 3) uint8 with something in it."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 3
        and value.shape[2] == 3
        and value.size > 0
    )


def no_picture(value: object) -> str:
    """Return what is wrong with what `on_frame` returned."""
    return f"it returned {_shown(value)}, not a picture (H, W, 3) uint8."


def no_result(value: object) -> str:
    """Return what is wrong with what `on_result` returned."""
    return f"it returned {_shown(value)}, not a FrameResult."


# A result whose picture has no place: there is shared memory only where the stage was given one.
PICTURE_FROM_NOWHERE = "it returned a FrameResult with a picture, where it was given none."


def _shown(value: object) -> str:
    return f"{list(value.shape)} {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
