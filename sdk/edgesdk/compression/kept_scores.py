"""What was measured before a pass, kept as it is measured, so that a run that was killed measures only what is left.

It is of the model before the pass and of the pictures, and of nothing that follows: another recovery finds it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgesdk_targets.whole_file import write_whole


class KeptScores:
    """Scores of single layers, or groups of channels, by name.

    Args:
        path: of the file; None keeps nothing. One that is damaged, or of another key, counts as empty.
        key: of the model and the pictures that were measured.
    """

    def __init__(self, path: Path | None = None, key: str = "") -> None:
        self._path, self._key = path, key
        self._rows: dict[str, Any] = _read(path, key) if path is not None else {}

    def get(self, name: str, asked: Any) -> Any:
        """Return what was measured; None where it was not, or something else was asked.

        Args:
            asked: what was to be measured, ready for JSON.
        """
        kept = self._rows.get(name)
        return kept.get("row") if isinstance(kept, dict) and kept.get("asked") == asked else None

    def keep(self, name: str, asked: Any, row: Any) -> None:
        """Write what was measured beside the rest.

        Raises:
            NoSpace, InputError: the file cannot be written.
        """
        self._rows[name] = {"asked": asked, "row": row}
        if self._path is not None:
            write_whole(self._path, json.dumps({"key": self._key, "rows": self._rows}, allow_nan=False).encode())


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    rows = read.get("rows") if isinstance(read, dict) and read.get("key") == key else None
    return rows if isinstance(rows, dict) else {}
