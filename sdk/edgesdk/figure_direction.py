"""Which way a figure is better, by its name: the one list of what counts errors."""

from __future__ import annotations

_ERRORS = frozenset({"error", "cer", "wer", "mae", "rmse", "mse", "ece"})


def counts_errors(name: str) -> bool:
    """Say whether less of a figure of `edgesdk evaluate` is better: one of the words of its name is an error's."""
    return not _ERRORS.isdisjoint(name.split("_"))
