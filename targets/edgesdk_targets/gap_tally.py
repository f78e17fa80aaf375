"""Counts how often a stream begins anew because frames are missing, so that what never gets anywhere is told, once."""

from __future__ import annotations


class GapTally:
    """What gaps did to each camera's stream since it last went well.

    Args:
        told_at: so many times in a row that a stream began anew are told.
    """

    def __init__(self, told_at: int) -> None:
        self._told_at = told_at
        self._in_a_row: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._told: set[str] = set()

    def missed(self, camera: str, frames: int) -> None:
        """Count frames that are missing; fewer than none, as where a camera counts anew, are none."""
        self._missing[camera] = self._missing.get(camera, 0) + max(0, frames)

    def began_anew(self, camera: str) -> int | None:
        """Count a stream that begins anew, and return how many frames were missing if that is to be told now."""
        self._in_a_row[camera] = self._in_a_row.get(camera, 0) + 1
        if self._in_a_row[camera] != self._told_at or camera in self._told:
            return None
        self._told.add(camera)
        return self._missing.get(camera, 0)

    def went_well(self, camera: str) -> None:
        """Count from the beginning again; what was told is not told again."""
        if self._in_a_row.get(camera) or self._missing.get(camera):
            self._in_a_row[camera] = self._missing[camera] = 0

    def forget(self, camera: str | None = None) -> None:
        """Forget one camera's counts, or all."""
        for table in (self._in_a_row, self._missing):
            if camera is None:
                table.clear()
            else:
                table.pop(camera, None)
