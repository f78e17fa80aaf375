"""Part F: memory and start: the agent beside a naive loop in the same environment, and with LiteRT alone."""

from __future__ import annotations

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts.plan import Plan
from pipeline.parts.sources import camera
from pipeline.workshop import Workshop

_SECONDS = 8.0
_NAIVE, _OURS, _SMALL = "naive OpenVINO", "edgesdk agent", "edgesdk agent, LiteRT alone"
_FIGURES: dict[str, Figure] = {
    "peak_rss_mb": lambda turn: turn.peak_rss_bytes / 2**20,
    "start_s": lambda turn: turn.start_s,
    "rate": lambda turn: turn.rate,
}


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run each on a live camera."""
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
    for name in rounds.by_name:
        findings.rows[name] = rounds.row(name, _FIGURES)
    memory, start = _FIGURES["peak_rss_mb"], _FIGURES["start_s"]
    more = [a - b for a, b in zip(rounds.values(_OURS, memory), rounds.values(_NAIVE, memory), strict=False)]
    findings.goals = [
        Goal("peak memory above naive's, MB", "<= 35", more),
        Goal("LiteRT alone: peak memory, MB", "<= 130", rounds.values(_SMALL, memory), rounds.failure(_SMALL)),
        Goal("start to first result / naive's", "<= 1.3", rounds.ratios(_OURS, _NAIVE, start)),
    ]
    return findings
