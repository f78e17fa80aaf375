"""Part D: what the pipeline itself costs, around a model that costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from operator import itemgetter
from pathlib import Path

from pipeline.contestants import Contestant, variables
from pipeline.findings import Findings, Goal, median
from pipeline.load_guard import QUIET_SHARE, Watch
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
                told = workshop.guard.undisturbed(
                    f"{name}, {case}", partial(_watched, which, fps, plan.seconds(seconds)), itemgetter("others_share")
                )
                print(f"round {number + 1}  {name}, {case}: {told}", file=sys.stderr)
                found.setdefault((name, case), []).append(told)
                findings.turns.append({"round": number, "name": name, "case": case, **told})
    for (name, case), told in found.items():
        findings.rows[f"{name}, {case}"] = _row(told)
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


def _row(told: list[dict[str, float]]) -> dict[str, float]:
    row = {key: round(median([one[key] for one in told]), 1) for key in told[0] if key != "others_share"}
    return {**row, "rounds": len(told), "disturbed": sum(one["others_share"] >= QUIET_SHARE for one in told)}


def _watched(which: str, fps: str, seconds: float) -> dict[str, float]:
    watch = Watch()
    told = _run(which, fps, seconds)
    return {**told, "others_share": round(watch.others_share(), 3)}


def _run(which: str, fps: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(_PROGRAM), which, "--fps", fps, "--seconds", str(seconds)]
    environment = variables(Contestant("", "agent"))
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    told: dict[str, float] = json.loads(done.stdout)
    return told
