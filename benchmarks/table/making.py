"""Which parts of the table are missing, and how each is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from edgesdk.benchmark.host import host_facts
from edgesdk_targets.target import Runtime
from table.build import build_family, bundle_of
from table.by_hand import judge_script
from table.cases import FAMILIES, PRECISIONS, Case, Places
from table.emulate import emulate_family
from table.judge import judge_family
from table.kept import Kept
from table.keys import build_key, by_hand_key, emulate_key, judge_key, parse_key, time_key
from table.parse import parse_family
from table.prepared import Prepared
from table.progress import Progress, Step
from table.results import contender, model_part
from table.timing import MOST_OTHERS, Effort, race, subjects_of

# The last three are asked for by name only: a board has to be set up, a parser installed, and on scripts nothing here depends.
PHASES = ("build", "judge", "time", "emulate", "by_hand", "parse")
USUAL = PHASES[:3]
_TRIED_ON = {
    "emulate": tuple(target for family, target in FAMILIES.items() if family != "TensorRT"),
    "by_hand": tuple(FAMILIES.values()),
    "parse": (FAMILIES["TensorRT"],),
}


class Making:
    """Makes the parts of some models' tables, and puts them together.

    Args:
        effort: of the phase "time".
        again: make also what is there already.
    """

    def __init__(self, places: Places, kept: Kept, effort: Effort, *, again: bool = False) -> None:
        self._places = places
        self._kept = kept
        self._effort = effort
        self._again = again
        self._model: Prepared | None = None

    def missing(
        self, cases: Sequence[Case], phases: Iterable[str], families: Collection[str] = tuple(FAMILIES)
    ) -> list[tuple[Case, Step]]:
        """Return the steps that are left to do: each model whole, one after another, and all times at the end.

        Args:
            families: what is built, judged and tried; times are of all that is there, as they are by turns.
        """
        steps: list[tuple[Case, Step]] = []
        wanted = {FAMILIES[family] for family in families}
        for case in cases:
            for phase in (p for p in PHASES[:2] if p in phases):
                parts = [Step(phase, _part(case, target)) for target in FAMILIES.values() if target in wanted]
                steps += [(case, one) for one in parts if self._again or not self._is_fresh(case, one)]
        if PHASES[2] in phases:
            changing = {case.name for case, _ in steps}
            for case in cases:
                step = Step("time", case.name)
                if self._again or case.name in changing or not self._is_fresh(case, step):
                    steps.append((case, step))
        for phase in (p for p in PHASES[3:] if p in phases):
            for case in (c for c in cases if phase != "emulate" or c.emulated_exam):
                parts = [Step(phase, _part(case, target)) for target in _TRIED_ON[phase] if target in wanted]
                steps += [(case, one) for one in parts if self._again or not self._is_fresh(case, one)]
        return steps

    def make(self, case: Case, step: Step, progress: Progress) -> None:
        """Make one part, unless what it depends on came out as before.

        Raises:
            SystemExit: what it is made from is not there.
        """
        if step.phase != "build" and not self._again and self._is_fresh(case, step):
            progress.say("unchanged")
            return
        if step.phase == "time":
            content = race(subjects_of(case.card(self._places), self._timed(case)), self._effort, progress.say)
            if self._places.every == 1 and content["others_pct"]["median"] > MOST_OTHERS:
                progress.say(f"not kept: others took {content['others_pct']['median']:.0f} % of a core")
                return
        else:
            target = step.name.partition("--")[2]
            if self._model is None or self._model.case is not case:
                self._model = Prepared(case, self._places, self._kept)
            if step.phase == "build":
                content = build_family(self._model, target, PRECISIONS, progress.say)
            elif step.phase == "emulate":
                assert case.emulated_exam  # noqa: S101  (no such step else)
                exam = case.emulated_exam(self._places)
                content = emulate_family(self._model, exam, self._cells(case, target), progress.say)
            elif step.phase == "by_hand":
                family = next(name for name, own in FAMILIES.items() if own == target)
                content = judge_script(self._model, family, progress.say)
            elif step.phase == "parse":
                content = parse_family(self._model, self._cells(case, target), progress.say)
            else:
                content = judge_family(self._model, self._cells(case, target), progress.say)
        self._kept.put(step.phase, step.name, self._key(case, step), content, progress.seconds)

    def part(self, case: Case) -> dict[str, Any] | None:
        """Return a model's part of the table; None where it is not built, or not judged as it was built."""
        cells, figures = {}, {}
        for family, target in FAMILIES.items():
            built, judged = (self._kept.find(phase, _part(case, target)) for phase in PHASES[:2])
            if built is None or judged is None or not _belong(built.content["cells"], judged.content["figures"]):
                return None
            cells[family], figures[family] = built.content["cells"], judged.content
        times = self._fresh(case, Step("time", case.name))
        tried = {
            phase: {
                family: content
                for family, target in FAMILIES.items()
                if target in targets and (content := self._fresh(case, Step(phase, _part(case, target))))
            }
            for phase, targets in _TRIED_ON.items()
        }
        return model_part(case.name, cells, figures, times, tried)

    def stale(self, case: Case) -> bool:
        """Tell whether the code has changed since a model was built or judged."""
        return not all(
            self._is_fresh(case, Step(phase, _part(case, t))) for phase in PHASES[:2] for t in FAMILIES.values()
        )

    def _fresh(self, case: Case, step: Step) -> dict[str, Any] | None:
        return self._kept.fresh(step.phase, step.name, self._key(case, step))

    def _is_fresh(self, case: Case, step: Step) -> bool:
        try:
            content = self._fresh(case, step)
        except SystemExit:
            return False
        if content is None or step.phase != "build":
            return content is not None
        scratch = self._places.scratch
        return all("bundle" not in cell or bundle_of(cell, scratch) for cell in content["cells"].values())

    def _key(self, case: Case, step: Step) -> str:
        assets, every = self._places.assets if case.from_assets else None, self._places.every
        if step.phase == "build":
            return build_key(assets, every)
        if step.phase == "by_hand":
            return by_hand_key(assets)
        targets = list(FAMILIES.values()) if step.phase == "time" else [step.name.partition("--")[2]]
        built = [cell for target in targets for cell in self._cells(case, target).values()]
        digests = [f"{cell['sha256']} {cell['variant']}" for cell in built if "sha256" in cell]
        if step.phase == "judge":
            return judge_key(digests, assets, every)
        if step.phase == "emulate":
            return emulate_key(digests, assets)
        if step.phase == "parse":
            return parse_key(digests)
        return time_key(digests, str(host_facts().to_json()["cpu"]))

    def _cells(self, case: Case, target: str) -> dict[str, dict[str, Any]]:
        part = self._kept.find("build", _part(case, target))
        if part is None:
            raise SystemExit(f"{case.name} is not built for {target} (--phase build)")
        return dict(part.content["cells"])

    def _timed(self, case: Case) -> dict[str, Any]:
        """Return the artifacts that take part in a race: those that their own runtime runs on this machine."""
        found = {}
        for family, target in FAMILIES.items():
            for precision, cell in self._cells(case, target).items():
                bundle = bundle_of(cell, self._places.scratch)
                if bundle is not None and f"-{Runtime.TENSORRT.value}-" not in cell["variant"]:
                    found[contender(family, precision)] = (bundle, cell["variant"])
        return found


def _belong(cells: dict[str, dict[str, Any]], figures: dict[str, dict[str, Any]]) -> bool:
    """Tell whether these figures are of these bundles, every one of them."""
    built = {precision: cell["sha256"] for precision, cell in cells.items() if "sha256" in cell}
    return built == {precision: found.get("sha256") for precision, found in figures.items()}


def _part(case: Case, target: str) -> str:
    return f"{case.name}--{target}"
