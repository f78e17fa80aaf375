"""Whether a search's objectives and limits are figures that its trials will have (pure)."""

from __future__ import annotations

from edgesdk.evaluate.figure_names import FIGURE_NAMES
from edgesdk.search.space import COSTS, Space
from edgesdk_targets.errors import InputError


def check_figures(space: Space, task: str) -> None:
    """Refuse an objective or a limit that the task's trials do not have, before any is carried out.

    Raises:
        InputError: there is one; names the field.
    """
    known = (*COSTS, *FIGURE_NAMES[task])
    named = [
        *(("objectives", name) for name in space.objectives),
        *(("limits.least", name) for name in space.limits.least),
        *(("limits.most", name) for name in space.limits.most),
    ]
    for where, name in named:
        if name not in known:
            raise InputError(f"{where}: there is no figure {name!r} here.", hint=f"One of: {', '.join(known)}.")
