"""What a stage may return as a picture, and how something else is told."""

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


def shown(value: object) -> str:
    """Return what a value is, for a message."""
    return f"{list(value.shape)} {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
