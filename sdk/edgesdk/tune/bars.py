"""The plot of `edgesdk tune` in a terminal: a bar for each setting, of what its hint looks at."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk_targets.tuning.setting import Hint, Measured
from edgesdk_targets.tuning.tuned import Tuning

_WIDEST, _NARROWEST = 32, 8
# Beside a bar: the margin, the spaces around it, and its figure.
_BESIDE = 2 + 2 + 1 + 6
_ANSWER: tuple[str, Callable[[Measured], float]] = ("ms for one inference, shorter is better", lambda one: one.ms)
_SHOWN: dict[Hint, tuple[tuple[str, Callable[[Measured], float]], ...]] = {
    Hint.LATENCY: (_ANSWER,),
    Hint.THROUGHPUT: (("pictures a second, longer is better", lambda one: one.fps),),
    Hint.AGE: (_ANSWER, ("processor ms a picture, shorter is better", lambda one: one.cpu_ms)),
}


def bars(found: Tuning, *, columns: int = 80, mark: str = "█") -> list[str]:
    """Return the lines, the best setting first; none where there is nothing to compare.

    Args:
        columns: of the terminal; bars become shorter where names are long.
        mark: of which the bars are made.
    """
    if len(found.measured) < 2:
        return []
    names = [str(one.setting) for one in found.measured]
    width = max(map(len, names))
    longest = max(_NARROWEST, min(_WIDEST, columns - width - _BESIDE))
    lines: list[str] = []
    for title, figure in _SHOWN[found.hint]:
        figures = [figure(one) for one in found.measured]
        most = max(figures) or 1.0
        lines.append(title)
        for name, value in zip(names, figures, strict=True):
            bar = mark * max(1, round(longest * value / most))
            lines.append(f"  {name:{width}}  {bar} {value:{'.0f' if value >= 100 else '.3g'}}")
        lines.append("")
    return lines
