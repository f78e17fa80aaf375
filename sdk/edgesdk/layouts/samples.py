"""One labelled picture, for each task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Union

from edgesdk.layouts.truth import Truth


@dataclass(frozen=True, slots=True)
class ClassSample:
    """A picture and the classes that are right for it, at least one."""

    path: Path
    accepted: frozenset[int]


@dataclass(frozen=True, slots=True)
class BoxSample:
    """A picture and its true boxes.

    Attributes:
        fractions: boxes are in fractions of the picture's sides, else in pixels.
    """

    path: Path
    truth: Truth
    fractions: bool


@dataclass(frozen=True, slots=True)
class TextSample:
    """A picture and the text in it."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class ValueSample:
    """A picture and its true numbers, in the model's order."""

    path: Path
    values: tuple[float, ...]


Sample = Union[ClassSample, BoxSample, TextSample, ValueSample]  # noqa: UP007  (an alias that runs on Python 3.10)
