"""Part H: a user's slow code beside the pipeline, and what tuning chose: as `hooks.py` and `tuning.py` measured it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.artifacts import ROOT
from pipeline.contestants import Contestant, variables
from pipeline.findings import Findings, Goal
from pipeline.load_guard import Watch
from pipeline.parts.plan import Plan
from pipeline.workshop import Workshop

_TUNING = ROOT / "benchmarks/results/tuning.json"
_SECONDS = 2.0
_IN_PROCESS, _APART = ("inline", "thread"), ("process",)


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run `hooks.py`, and read what `tuning.py` wrote."""
    findings = Findings(
        "A user's code beside the pipeline, and tuning",
        "The share of its rate that a pipeline with a model of 4 ms keeps beside a hook of 2 ms of pure Python a frame, and "
        "beside a thread that never lets Python's lock go; `benchmarks/hooks.py`. And the best fixed setting's cost over "
        "the tuned one's, for three runtimes and three hints; `benchmarks/tuning.py`.",
    )
    workshop.guard.wait_until_quiet()
    watch = Watch()
    cases = _hooks(plan)
    findings.turns = [{**case, "others_share": round(watch.others_share(), 3)} for case in cases]
    for case in cases:
        findings.rows[f"{case['rival']}, {case['isolation']}"] = {key: case[key] for key in ("share", "worst", "best")}
    for rival in dict.fromkeys(case["rival"] for case in cases if case["rival"] != "none"):
        for ways, bound, where in ((_APART, ">= 0.9", "in a process"), (_IN_PROCESS, ">= 0.7", "in the same process")):
            # A user chooses where the hook runs: the best of what stays in the process counts.
            best = max((c for c in cases if c["rival"] == rival and c["isolation"] in ways), key=lambda c: c["share"])
            findings.goals.append(Goal(f"{rival}, {where}: rate kept", bound, [best["share"]]))
    tuned = _tuned()
    for row in tuned:
        findings.rows[f"tuned: {row['model']}, {row['runtime']}, {row['hint']}"] = {"share": row["ratio"]}
    worst = [min(row["ratio"] for row in tuned)] if tuned else []
    goal = f"tuned / best fixed setting, the worst of {len(tuned)} (models, runtimes, hints)"
    findings.goals.append(Goal(goal, ">= 0.95", worst, "benchmarks/tuning.py has not been run"))
    return findings


def _hooks(plan: Plan) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "hooks.json"
        seconds = str(plan.seconds(_SECONDS) / (4 if plan.quick else 1))
        command = [sys.executable, str(ROOT / "benchmarks/hooks.py"), "--rounds", str(plan.count), "--seconds", seconds]
        environment = variables(Contestant("", "agent"))
        subprocess.run([*command, "--json", str(out)], check=True, env=environment, stdout=subprocess.DEVNULL)
        found: list[dict[str, Any]] = json.loads(out.read_text("utf-8"))["cases"]
    return found


def _tuned() -> list[dict[str, Any]]:
    """Return what `tuning.py` found, a row a model, runtime and hint; nothing where it has not been run."""
    if not _TUNING.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(_TUNING.read_text("utf-8"))["rows"]
    return [row for row in rows if "ratio" in row]
