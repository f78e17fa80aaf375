"""Search for the configuration to deploy, or go on with a search that was cut off.

The search itself knows neither models nor data; conversion, training, evaluation and measuring do not know each other. This and
`trial` join them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.search.claim import claimed
from edgesdk.search.outcome import Trial
from edgesdk.search.space import Space, read_space
from edgesdk.search.study import Study
from edgesdk.search.verdict import SearchVerdict, verdict_of
from edgesdk.search_run.trial import BUNDLE, WORK, Carrying, Say
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import ContentChanged
from edgesdk_targets.whole_file import write_whole

BEST = "best.edgebundle"


@dataclass(frozen=True, slots=True)
class Search:
    """A search, as far as it came.

    Attributes:
        importance: how much each parameter decides of the first objective.
        bundle: the chosen trial's; None where none keeps the limits.
        card: of the chosen trial's model, with its weights; None where it was neither trained nor made smaller.
    """

    space: Space
    folder: Path
    trials: tuple[Trial, ...]
    verdict: SearchVerdict
    importance: Mapping[str, float]
    bundle: Path | None
    card: Path | None

    def to_json(self) -> dict[str, object]:
        return {
            "objectives": list(self.space.objectives),
            "trials": [trial.to_json() for trial in self.trials],
            **self.verdict.to_json(),
            "importance": dict(self.importance),
            "bundle": str(self.bundle) if self.bundle else None,
            "card": str(self.card) if self.card else None,
            "folder": str(self.folder),
        }


def search(
    path: str | Path,
    folder: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    time_s: float = 0.5,
    say: Say = lambda _line: None,
) -> Search:
    """Search a space, or go on with a search that was cut off.

    Args:
        path: `space.yaml`; its paths are relative to it.
        folder: of the search: its trials, and the bundles of those on the front.
        changes: fields that replace the space's own, such as `{"trials": 60}`.
        time_s: how long each trial's model is timed.
        say: told a line now and then.

    Raises:
        InputError: space, model or data are wrong, the folder holds another search or is searched in by another process, or every
            trial failed.
        MissingExtra: optuna or what a trial needs is not installed.
        NoSpace: the disk is full; the same call goes on when there is room.
        KeyboardInterrupt: it was stopped; the same call goes on.
    """
    path, folder = Path(path), Path(folder)
    space = read_space(path, changes)
    target = find_target(space.target)
    limits = {
        name: float(value)
        for name, value in (("bytes", target.max_bundle_bytes), ("rss_bytes", target.memory_bytes))
        if value is not None
    }
    carrying = Carrying(space, path.resolve().parent, folder, limits, time_s, say)
    with claimed(folder):
        study = Study(space, folder, limits, target.name, carrying.content())
        try:
            study.run(carrying, say=say)
        except ContentChanged:
            # What was under way may have learnt from what was there for a while.
            _remove_work(folder)
            raise
        finally:
            found = tuple(study.trials())
            verdict = verdict_of(space, found)
            _keep_only(folder, {*verdict.front, *(trial.number for trial in found if trial.is_baseline)})
        # Not where it was cut off: what was under way goes on from there.
        _remove_work(folder)
        bundle, card = _chosen(folder, verdict)
        return Search(space, folder, found, verdict, study.importance(), bundle, card)


def _keep_only(folder: Path, numbers: set[int]) -> None:
    """Remove the bundles of trials that nobody will take."""
    trials = folder / "trials"
    if not trials.is_dir():
        return
    for place in trials.iterdir():
        if place.name.isdigit() and int(place.name) not in numbers:
            shutil.rmtree(place, ignore_errors=True)


def _remove_work(folder: Path) -> None:
    """Remove what trainings and passes kept; first from its place: half of a training is none that could be gone on with."""
    work, gone = folder / WORK, folder / f"{WORK}.removed"
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(FileNotFoundError):
        work.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _chosen(folder: Path, verdict: SearchVerdict) -> tuple[Path | None, Path | None]:
    """Copy the chosen trial's bundle to where it is looked for; return it, and the card of the trial's model."""
    best = folder / BEST
    if verdict.chosen is None:
        best.unlink(missing_ok=True)
        return None, None
    number = verdict.chosen.number if verdict.chosen.same_as is None else verdict.chosen.same_as
    place = folder / "trials" / str(number)
    write_whole(best, (place / BUNDLE).read_bytes())
    return best, next(place.glob("*.yaml"), None)
