"""One artifact of a table: what it weighs, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.benchmark.artifact_bytes import artifact_bytes
from edgesdk.comparison.figures import compared
from edgesdk.evaluate.answers import Answers, collect, each_alone, paths_of
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions


@dataclass(frozen=True, slots=True)
class Artifact:
    """One variant of a bundle."""

    bundle: Path
    variant: str

    def sizes(self) -> dict[str, int]:
        """Return the bytes of its files as a runtime reads them, and as the bundle stores them (deflated)."""
        found = artifact_bytes(self.bundle, self.variant)
        return {"bytes": found.unpacked, "deflated_bytes": found.deflated}

    def answers(self, dataset: Dataset) -> tuple[str, Answers]:
        """Return which runtime ran it, and its answers on one thread."""
        settings = judged_with(dataset.task)
        options = SessionOptions(threads=1)
        with load_model(self.bundle, variant=self.variant, options=options, postprocess=settings) as model:
            return model.runtime.value, collect(each_alone(model), paths_of(dataset))


class Judge:
    """Compares artifacts with what they were before, family by family, on the same labelled pictures.

    Args:
        start: the artifacts before compression, by family.
        data: that nothing was learnt from or chosen by.
    """

    def __init__(self, start: Mapping[str, Artifact], data: Path) -> None:
        with open_bundle(next(iter(start.values())).bundle) as opened:
            self._dataset = open_dataset(data, task=opened.manifest.task, labels=opened.manifest.labels)
        self._before = {family: artifact.answers(self._dataset)[1] for family, artifact in start.items()}

    def __call__(self, family: str, artifact: Artifact) -> dict[str, Any]:
        """Return who ran it, the task's main figure, and what it lost, each with its interval."""
        ran_by, answers = artifact.answers(self._dataset)
        found = compared(self._dataset, {"before": self._before[family], "after": answers})
        lost = found.differences[0]
        return {
            "ran_by": ran_by,
            "figure": {"name": found.main, **found.cards["after"].metrics[found.main].to_json()},
            "lost": {"value": round(lost.value, 6), "low": round(lost.low, 6), "high": round(lost.high, 6)},
        }
