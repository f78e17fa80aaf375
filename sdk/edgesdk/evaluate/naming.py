"""What the model is called that an artifact is compared with."""

from __future__ import annotations

FLOAT = "float model"


def the(baseline: str) -> str:
    """Return the name as a part of a sentence: `the float model`, or a variant's own name."""
    return f"the {baseline}" if baseline == FLOAT else baseline


def begun(baseline: str, *, article: bool = True) -> str:
    """Return the name as the beginning of a sentence; a variant's own stays as it is written."""
    if baseline != FLOAT:
        return baseline
    return f"The {FLOAT}" if article else FLOAT.capitalize()
