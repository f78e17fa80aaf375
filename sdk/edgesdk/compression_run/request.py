"""What a run of a recipe was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk.compression.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, read and checked as far as no model is needed; see `edgesdk.compression_run.compress.compress`."""

    source: str | Path
    card: str | Path | None
    recipe: Recipe
    base: Path
    target: str
    output: Path
    max_drop: float | None
    page: Path
    folder: Path

    @property
    def calibrate(self) -> Path | None:
        """The pictures on which ranges for INT8 are measured."""
        return self.path(self.recipe.data.calibrate or self.recipe.data.train)

    def path(self, name: str | None) -> Path | None:
        """Return a path of the recipe."""
        return self.base / name if name else None
