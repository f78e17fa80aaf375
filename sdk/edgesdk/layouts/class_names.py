"""From a dataset's class names to the numbers of the model's classes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from edgesdk_targets.errors import InputError

_SHOWN = 5


class ClassNames:
    """Look up the model's classes by name, in any case, or by number.

    Args:
        labels: the model's class names in order; without any, only numbers are known.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._exact = {name: i for i, name in reversed(list(enumerate(labels)))}
        self._folded = {_fold(name): i for i, name in reversed(list(enumerate(labels)))}

    def find(self, name: str) -> int | None:
        """Return the class of a name; a number counts where no class has it as name."""
        found = self._exact.get(name, self._folded.get(_fold(name)))
        if found is None and name.isascii() and name.isdigit() and len(name) < 9:
            found = self.checked(int(name))
        return found

    def checked(self, number: int) -> int | None:
        """Return a number if the model can have such a class."""
        return number if number >= 0 and (not self._labels or number < len(self._labels)) else None

    def unknown(self, names: Iterable[str], where: str) -> InputError:
        """Return the error for classes that the model does not have."""
        wrong = list(dict.fromkeys(names))
        near = difflib.get_close_matches(wrong[0], self._labels, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        listed = ", ".join(repr(name) for name in wrong[:_SHOWN])
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        known = ", ".join(self._labels[:_SHOWN]) + (" …" if len(self._labels) > _SHOWN else "")
        return InputError(
            f"{where} has classes that the model does not: {listed}{more}{meant}.",
            hint=f"The model's labels: {known}. Rename the classes or leave them out."
            if self._labels
            else "The model has no labels: use its class numbers, or give the card `labels`.",
        )


def _fold(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
