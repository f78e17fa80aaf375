"""What a child process measures: one loaded copy of a model, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgesdk.benchmark.coverage.nodes import Coverage


@dataclass(frozen=True, slots=True)
class Opening:
    """What an opener gets.

    Attributes:
        options: of the subject.
        files: name → where its content lies.
        threads: for one inference; 0 lets the runtime choose.
        folder: the child's own, removed afterwards.
    """

    options: Mapping[str, Any]
    files: Mapping[str, Path]
    threads: int
    folder: Path


class Lane(Protocol):
    """One loaded copy; one thread runs it.

    Attributes:
        picture: height and width of the picture that `stages` begins with; None without one.
    """

    picture: tuple[int, int] | None

    def infer(self) -> object:
        """Run once on the input that is already in place."""
        ...

    def stages(self) -> Mapping[str, Callable[[], object]]:
        """Return what else of the way from picture to answer can be timed, by name."""
        ...

    def coverage(self) -> Coverage | None:
        """Say what the runtime made of the model; None where it does not tell."""
        ...
