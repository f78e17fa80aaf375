"""Part H: a user's slow code beside the pipeline, and what tuning chose: by `hooks.py` and `tuning.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hook_load.rounds import Case, kept, one_round
from hooks import hook_cases

from pipeline.artifacts import ROOT, assets_folder
from pipeline.contestants import Contestant, variables
from pipeline.findings import Findings, Goal
from pipeline.load_guard import QUIET_SHARE, Watch
from pipeline.parts.plan import Plan
from pipeline.workshop import Workshop

_TUNING = ROOT / "benchmarks/results/tuning.json"
_SECONDS = 2.0
# Where a hook runs → how much of the rate it is to leave, and what that is called.
_WAYS = {
    "process": (">= 0.9", "in a process"),
    "thread": (">= 0.7", "on a thread of the same process"),
    "inline": (">= 0.7", "inline, a callable as it is given to `Pipeline`"),
}


@dataclass(frozen=True, slots=True)
class _Round:
    """The rates of all cases in one round, and how much of a core others took meanwhile."""

    rates: Mapping[Case, float]
    others_share: float


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Measure the hooks round by round, and let `tuning.py` measure what tuning chooses; a quick run reads what it wrote."""
    findings = Findings(
        "A user's code beside the pipeline, and tuning",
        "The share of its rate that a pipeline with a model of 4 ms keeps beside a hook of 2 ms of pure Python a frame, and "
        "beside a thread that never lets Python's lock go; `benchmarks/hooks.py`. And the best fixed setting's cost over "
        "the tuned one's, for three runtimes and three hints, each on two models; `benchmarks/tuning.py`. The cost of `age` "
        "holds a frame's time; `answer ratio` is of the answers alone, where the quickest setting may cost far more work. "
        "`disturbed` counts rounds; of tuning it says that others were at work while it chose.",
    )
    _hooks(findings, workshop, plan)
    _tuning(findings, plan)
    return findings


def _hooks(findings: Findings, workshop: Workshop, plan: Plan) -> None:
    cases, seconds = hook_cases(), plan.seconds(_SECONDS) / (4 if plan.quick else 1)
    reference = cases[0]

    def measured(number: int) -> _Round:
        watch = Watch()
        return _Round(one_round(cases, reference, number, seconds), watch.others_share())

    rounds = []
    for number in plan.rounds():
        name = f"round {number + 1} of hooks"
        rounds.append(
            one := workshop.guard.undisturbed(name, lambda n=number: measured(n), lambda found: found.others_share)
        )
        print(f"{name}: {one.rates[reference]:.0f} a second without a rival", file=sys.stderr)
    disturbed = sum(one.others_share >= QUIET_SHARE for one in rounds)
    for case in cases:
        told = kept(case, reference, [one.rates for one in rounds]).to_json()
        columns = {key: told[key] for key in ("share", "worst", "best")}
        findings.rows[f"{case.rival}, {case.isolation}"] = {**columns, "rounds": len(rounds), "disturbed": disturbed}
        shares = [one.rates[case] / one.rates[reference] for one in rounds]
        findings.turns += [
            {"round": number, "rival": case.rival, "isolation": case.isolation, "share": round(share, 3),
             "per_s": round(one.rates[case], 1), "others_share": round(one.others_share, 3)}
            for number, (one, share) in enumerate(zip(rounds, shares, strict=True))
        ]  # fmt: skip
        if case.rival != reference.rival:
            bound, where = _WAYS[case.isolation]
            findings.goals.append(Goal(f"{case.rival}, {where}: rate kept", bound, shares))


def _tuning(findings: Findings, plan: Plan) -> None:
    if not plan.quick:
        # Five minutes; it writes `_TUNING`.
        command = [sys.executable, str(ROOT / "benchmarks/tuning.py"), "--assets", str(assets_folder())]
        subprocess.run(command, check=True, env=variables(Contestant("", "agent")), stdout=sys.stderr)
    tuned = _tuned()
    for row in tuned:
        findings.rows[f"tuned: {row['model']}, {row['runtime']}, {row['hint']}"] = {
            "share": row["ratio"],
            "answer_ratio": row.get("answer_ratio"),
            "disturbed": int(row["disturbed"]),
            "chosen": row["chosen"],
        }
    worst = [min(row["ratio"] for row in tuned)] if tuned else []
    goal = f"tuned / best fixed setting, the worst of {len(tuned)} (models, runtimes, hints)"
    findings.goals.append(Goal(goal, ">= 0.95", worst, "benchmarks/tuning.py has not been run"))


def _tuned() -> list[dict[str, Any]]:
    """Return what `tuning.py` found, a row a model, runtime and hint; nothing where it has not been run."""
    if not _TUNING.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(_TUNING.read_text("utf-8"))["rows"]
    return [row for row in rows if "ratio" in row]
