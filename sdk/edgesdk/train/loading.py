"""How a training's pictures are read and kept, whatever they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk.train.plan import Plan


@dataclass(frozen=True, slots=True)
class Loading:
    """How pictures are read and kept.

    Attributes:
        cache_mb: a set whose prepared pictures need more is streamed.
        cache_disk_mb: of a streamed set, kept in a file that never takes more than it leaves free; 0 for none.
        cache_folder: of that file; the system's for temporary files unless given. None is written to a file system in memory.
        workers: threads that read pictures; None for one a core.
    """

    cache_mb: int = 512
    cache_disk_mb: int = 16_384
    cache_folder: Path | None = None
    workers: int | None = None

    @classmethod
    def for_plans(cls, *plans: Plan, folder: Path | None = None) -> Loading:
        """Return what serves all of some trainings.

        Args:
            plans: one at least.
            folder: for the file of a streamed set.
        """
        return cls(
            cache_mb=max(plan.cache_mb for plan in plans),
            cache_disk_mb=max(plan.cache_disk_mb for plan in plans),
            cache_folder=folder,
            workers=next((plan.workers for plan in plans if plan.workers), None),
        )
