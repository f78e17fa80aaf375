"""Part D: what the pipeline itself costs, around a model that costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.contestants import Contestant, variables
from pipeline.findings import Findings, Goal, median
from pipeline.load_guard import Watch
from pipeline.parts.plan import Plan
from pipeline.workshop import Workshop

_PROGRAM = Path(__file__).parents[1] / "programs/null_model.py"
_BARE, _OURS = "bare three threads", "edgesdk.Pipeline"
_CASES = {"as fast as possible": ("0", 3.0), "30 frames a second": ("30", 6.0)}


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Let both loops take turns."""
    findings = Findings(
        "Around a model that costs nothing",
        "640x480 buffers go through three threads; nothing is decoded, prepared or computed. The bare loop has two queues and "
        "two free lists, and no counts, policies, errors or ends.",
    )
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in plan.rounds():
        for case, (fps, seconds) in _CASES.items():
            for name, which in ((_BARE, "bare"), (_OURS, "ours")):
                workshop.guard.wait_until_quiet()
                watch = Watch()
                told = _run(which, fps, plan.seconds(seconds))
                print(f"round {number + 1}  {name}, {case}: {told}", file=sys.stderr)
                found.setdefault((name, case), []).append(told)
                share = round(watch.others_share(), 3)
                findings.turns.append({"round": number, "name": name, "case": case, **told, "others_share": share})
    for (name, case), told in found.items():
        findings.rows[f"{name}, {case}"] = {key: round(median([t[key] for t in told]), 1) for key in told[0]}
    fast, paced = _CASES
    findings.goals = [
        Goal("rate / the bare loop's", ">= 0.4", _ratios(found, fast, "rate")),
        Goal(
            "at 30 frames a second, capture to infer p95 / the bare loop's",
            "<= 1.6",
            _ratios(found, paced, "capture_to_infer_p95_us"),
        ),
    ]
    return findings


def _ratios(found: dict[tuple[str, str], list[dict[str, float]]], case: str, key: str) -> list[float]:
    pairs = zip(found[_OURS, case], found[_BARE, case], strict=True)
    return [ours[key] / bare[key] for ours, bare in pairs]


def _run(which: str, fps: str, seconds: float) -> dict[str, Any]:
    command = [sys.executable, str(_PROGRAM), which, "--fps", fps, "--seconds", str(seconds)]
    environment = variables(Contestant("", "agent"))
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    told: dict[str, Any] = json.loads(done.stdout)
    return told
