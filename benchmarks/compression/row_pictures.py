"""Rows of digits for the reader, rendered once: to learn from, of the training split, and to be judged by, of the test split."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "digits"))

from make_data import Digits, train_split  # noqa: E402
from render_eval import render_row_reader  # noqa: E402

from edgesdk_agent.cameras.conveyor import load_digits  # noqa: E402

_JUDGED, _JUDGED_SEED = 1000, 100
_LEARNT_SEED = 8
# As the reader itself was trained: wilder writing than is judged makes up for more hands.
_SPREAD = 2.5


def rows_to_read(folder: Path) -> Path:
    """Return rows to judge by."""
    return _rendered(Digits(*load_digits()), folder, _JUDGED, _JUDGED_SEED, 1.0)


def rows_to_learn(folder: Path, count: int) -> Path:
    """Return rows to learn from."""
    return _rendered(train_split(), folder, count, _LEARNT_SEED, _SPREAD)


def _rendered(digits: Digits, folder: Path, count: int, seed: int, spread: float) -> Path:
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        render_row_reader(digits, partial, count, seed, spread=spread)
        partial.rename(folder)
    return folder
