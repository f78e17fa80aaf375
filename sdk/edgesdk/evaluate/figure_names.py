"""Which figures each task has, known before anything is measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from edgesdk_targets.errors import InputError

# A detector's precision, recall and F1 are of its device's working threshold, and are not among those that compare models.
FIGURE_NAMES: Mapping[str, tuple[str, ...]] = {
    "classify": (
        "top1",
        "balanced_accuracy",
        "precision_micro",
        "recall_micro",
        "f1_micro",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "roc_auc",
        "ece",
    ),
    "detect": ("ap50", "ap75", "map"),
    "text": ("cer", "wer", "word_accuracy", "word_accuracy_ignoring_case"),
    "embed": ("retrieval_top1",),
    "regress": ("mae", "mse", "rmse", "r2", "relative_error"),
}


def check_figures(asked: Mapping[str, Iterable[str]], known: Collection[str]) -> None:
    """Refuse a figure that there is not, before anything is measured: no limit on it could be kept.

    Args:
        asked: names of figures, by where they are asked for.
        known: all that there are.

    Raises:
        InputError: one is not known; says where it stands.
    """
    for where, names in asked.items():
        for name in names:
            if name not in known:
                raise InputError(f"{where}: there is no figure {name!r} here.", hint=f"One of: {', '.join(known)}.")
