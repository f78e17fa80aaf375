"""The parent's side of tuning: one child that measures, watched while it does.

The folder that both see holds `request.json`; `doing` says which variant is under way, for when the child does not live to
write `result.json`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.child_watch import Ending, last_message, start_child, watch
from edgesdk_targets.tuning.setting import Hint, Setting
from edgesdk_targets.tuning.tune_options import TuneOptions
from edgesdk_targets.tuning.tuned import Tuning

REQUEST, RESULT, DOING = "request.json", "result.json", "doing"
_CHILD = "edgesdk_targets.tuning.child"
_STARTS_S = 60.0  # Python and numpy, from a slow card
_KEEP_FREE_BYTES = 32 << 20


def ask_child(
    folder: Path, bundle: Bundle, hint: Hint, how: TuneOptions, groups: list[tuple[Setting, ...]]
) -> Tuning | tuple[str, str]:
    """Run one child in an empty folder; return what it found, or the variant under way when it ended and what it ended of."""
    request = {
        "bundle": str(bundle.path.absolute()),
        "hint": hint.value,
        "groups": [[setting.to_json() for setting in group] for group in groups],
        "seconds": how.budget_s,
        "fps": how.fps,
        "prove": how.prove,
        "cache_dir": str(how.cache_dir.absolute()) if how.cache_dir else None,
        "path": [str(Path(entry).absolute()) for entry in sys.path],
    }
    (folder / REQUEST).write_text(json.dumps(request), "utf-8")
    child = start_child(_CHILD, str(folder), folder=folder)
    ending = watch(child, folder, _StepClock(folder, how.patience_s).ends_at, keep_free_bytes=_KEEP_FREE_BYTES)
    try:
        doing = (folder / DOING).read_text("utf-8")
    except OSError:
        doing = ""
    if ending is Ending.TOO_LONG:
        return doing, f"it did not answer within {how.patience_s:g} s"
    if ending is Ending.TOO_MUCH_MEMORY:
        return doing, "it left the device too little memory"
    try:
        answer = json.loads((folder / RESULT).read_text("utf-8"))
        if "error" in answer:
            return "", str(answer["error"])
        return Tuning.from_json(answer)
    except (OSError, ValueError, TypeError, KeyError):
        return doing, f"its process ended with {child.returncode}: {last_message(folder)[:200]}"


class _StepClock:
    """Tells when the step that is under way must have ended."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._path = folder / DOING
        self._patience_s = patience_s
        self._stamp, self._since = 0, time.monotonic()

    def ends_at(self) -> float:
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            stamp = 0
        if stamp != self._stamp:
            self._stamp, self._since = stamp, time.monotonic()
        return self._since + (self._patience_s if stamp else max(_STARTS_S, self._patience_s))
