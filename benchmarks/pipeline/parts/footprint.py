"""Part F: memory and start: the agent beside a naive loop in the same environment, with LiteRT alone, and over time."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts.plan import Plan
from pipeline.parts.sources import camera
from pipeline.process_cost import descendants, rss_bytes
from pipeline.workshop import Workshop

_SECONDS = 8.0
_NAIVE, _OURS, _SMALL = "naive OpenVINO", "edgesdk agent", "edgesdk agent, LiteRT alone"
_SETTLED_S, _LOOK_S = 60.0, 1.0
_FIGURES: dict[str, Figure] = {
    "peak_rss_mb": lambda turn: turn.peak_rss_bytes / 2**20,
    "start_s": lambda turn: turn.start_s,
    "rate": lambda turn: turn.rate,
}


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run each on a live camera; with `--soak`, ours once more for long."""
    variants = workshop.artifacts.variants
    contestants = [
        Contestant(_NAIVE, "ov_naive"),
        Contestant(_OURS, "agent", arguments=("--variant", variants["x86-cpu"])),
        Contestant(_SMALL, "agent", "litert", arguments=("--variant", variants["rpi5"])),
    ]
    findings = Findings(
        "Memory and start",
        "A live camera, 640x360 at 30 frames a second over MJPEG. Memory is the most that the process ever held, with its "
        "children; the start is from starting the process to its first result at the receiver. What the agent finds out once "
        "about a machine (does this runtime work here? what does it compile?) is known already, as at every start but the "
        "first.",
    )
    rounds = Rounds()
    with camera("MJPEG over HTTP", workshop.artifacts.video) as url:
        for number in plan.rounds():
            for contestant in plan.order(contestants, number):
                turn = workshop.run(contestant, [url], seconds=plan.seconds(_SECONDS))
                plan.say(turn, number, _FIGURES)
                findings.turns.append(turn_json(turn, number, _FIGURES))
                rounds.add(turn)
        grown, why_not = _growth(workshop, url, plan) if plan.soak_s else ([], "only with --soak 10")
    for name in rounds.by_name:
        findings.rows[name] = rounds.row(name, _FIGURES)
    memory, start = _FIGURES["peak_rss_mb"], _FIGURES["start_s"]
    more = [a - b for a, b in zip(rounds.values(_OURS, memory), rounds.values(_NAIVE, memory), strict=False)]
    findings.goals = [
        Goal("peak memory above naive's, MB", "<= 35", more),
        Goal("LiteRT alone: peak memory, MB", "<= 130", rounds.values(_SMALL, memory), rounds.failure(_SMALL)),
        Goal("start to first result / naive's", "<= 1.3", rounds.ratios(_OURS, _NAIVE, start)),
        Goal("growth from the first minute to the last, MB", "<= 2", grown, why_not),
    ]
    return findings


def _growth(workshop: Workshop, url: str, plan: Plan) -> tuple[list[float], str]:
    """Run the agent for long, and return by how much its memory grew after the first minute, MB."""
    seen: list[tuple[float, int]] = []
    over = threading.Event()

    def watch() -> None:
        begun = time.monotonic()
        while not over.wait(_LOOK_S):
            pids = [pid for pid in descendants(os.getpid()) if _is_agent(pid)]
            if pids:
                seen.append((time.monotonic() - begun, rss_bytes(pids)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    arguments = ("--variant", workshop.artifacts.variants["x86-cpu"])
    turn = workshop.run(Contestant(_OURS, "agent", arguments=arguments), [url], seconds=plan.soak_s)
    over.set()
    watcher.join()
    settled = [size for at, size in seen if at >= _SETTLED_S]
    if turn.failure or len(settled) < 2:
        return [], turn.failure or "the run was shorter than a minute"
    part = max(1, len(settled) // 20)
    grown = (sum(settled[-part:]) - sum(settled[:part])) / part / 2**20
    print(f"memory after a minute and at the end: {grown:+.2f} MB over {plan.soak_s:g} s", file=sys.stderr)
    return [grown], ""


def _is_agent(pid: int) -> bool:
    try:
        return b"run.py\0agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
