"""The child's side of tuning: `python -m edgesdk_targets.tuning.child FOLDER`.

The folder holds `request.json`; `doing` says which variant is under way, for when the process does not live to write
`result.json`. The winner's answers are proven with the bundle's golden set before it is told: one that differs is refused
with all its settings, and the next one is proven.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.golden.golden_file import has_golden
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tuning.bench import SessionBench, options_of
from edgesdk_targets.tuning.by_child import DOING, REQUEST, RESULT
from edgesdk_targets.tuning.halving import Budget, measure
from edgesdk_targets.tuning.setting import Hint, Measured, Setting, Slice
from edgesdk_targets.tuning.tuned import Tuning


def main(folder: Path) -> NoReturn:
    """Carry out the request in the folder; the process ends here."""
    behave_as_child()
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    sys.path[:] = request["path"]
    cv2.setNumThreads(1)  # as in the agent
    try:
        answer = _tuned(request, folder).to_json()
    except EdgeError as error:
        answer = {"error": error.message}
    _write(folder / RESULT, json.dumps(answer))
    # The answer is on disk: destructors of a runtime's threads may crash a process that has nothing left to do.
    os._exit(0)


def _tuned(request: dict[str, Any], folder: Path) -> Tuning:
    hint = Hint(request["hint"])
    cache_dir = Path(request["cache_dir"]) if request["cache_dir"] else None
    groups = [[Setting.from_json(one) for one in group] for group in request["groups"]]
    with open_bundle(request["bundle"]) as bundle:
        start = time.monotonic()
        bench = _ToldBench(SessionBench(bundle, hint, fps=request["fps"], cache_dir=cache_dir), folder)
        looked = measure(groups, bench, hint, Budget(request["seconds"], time.monotonic))
        found = Tuning(hint, tuple(looked.measured), refused=looked.refused, skipped=tuple(looked.skipped)).in_order()
        if request["prove"]:
            found = _proven(found, bundle, cache_dir, bench)
    # How long it took is the parent's to say.
    return found if found.measured else Tuning(hint, refused=found.refused, seconds=time.monotonic() - start)


def _proven(found: Tuning, bundle: Bundle, cache_dir: Path | None, bench: _ToldBench) -> Tuning:
    """Refuse variants whose golden answers differ here, until the best one's do not."""
    while (best := found.best) is not None and has_golden(bundle):
        bench.tell(best.setting.variant)
        why = _differs(bundle, best.setting, found.hint, cache_dir)
        if not why:
            return found
        found.refused[best.setting.variant] = why
        found = found.in_order()
    return found


def _differs(bundle: Bundle, setting: Setting, hint: Hint, cache_dir: Path | None) -> str:
    try:
        with load_model(bundle, variant=setting.variant, options=options_of(setting, hint, cache_dir)) as model:
            report = check_golden(bundle, model)
    except EdgeError as error:
        return error.message
    return "" if report.passed else f"its golden answers differ here: {report.in_words()}"


class _ToldBench:
    """A bench that writes down which variant is under way."""

    def __init__(self, bench: SessionBench, folder: Path) -> None:
        self._bench = bench
        self._folder = folder

    def tell(self, variant: str) -> None:
        _write(self._folder / DOING, variant)

    def open(self, setting: Setting) -> Measured:
        self.tell(setting.variant)
        return self._bench.open(setting)

    def turn(self, setting: Setting) -> Slice:
        self.tell(setting.variant)
        return self._bench.turn(setting)

    def close(self, setting: Setting) -> None:
        self._bench.close(setting)


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
