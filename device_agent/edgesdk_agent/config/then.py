"""The section `then`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesdk_targets.crop import CropRule


class ThenSection(CropRule):
    """A second model, which is asked about what the first one, a detector, found; with the rule of what it is shown.

    Attributes:
        bundle: of the second model.
        target, variant: choose among its variants.
    """

    bundle: Path
    target: str = ""
    variant: str = ""

    def rule(self) -> dict[str, Any]:
        """Return the fields of the rule alone."""
        return self.model_dump(include=set(CropRule.model_fields))
