"""A little line of an hour, as SVG: where nothing came, the line breaks."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 96, 24


def sparkline(values: Sequence[float | None] | None, label: str) -> Markup:
    """Draw values that are evenly apart; nothing where there are none. `label` is what a screen reader says."""
    known = [value for value in values or () if value is not None]
    if not values or not known:
        return Markup('<span class="faint" aria-hidden="true">\N{EN DASH}</span>')
    top = max(*known, 1e-9)
    step = _WIDTH / max(1, len(values) - 1)
    path, pen_up = [], True
    for index, value in enumerate(values):
        if value is None:
            pen_up = True
            continue
        y = _HEIGHT - 2 - value / top * (_HEIGHT - 4)
        path.append(f"{'M' if pen_up else 'L'}{index * step:.1f} {y:.1f}")
        # A minute that stands alone is a dot, not nothing.
        if pen_up and (index + 1 == len(values) or values[index + 1] is None):
            path.append("h.1")
        pen_up = False
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        '<path d="{path}"/></svg>'
    ).format(w=_WIDTH, h=_HEIGHT, label=label, path=" ".join(path))
