"""Part B: a live camera of 30 frames a second and a fast model: how old is what is reported, and what does it cost?"""

from __future__ import annotations

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts import ages
from pipeline.parts.plan import Plan
from pipeline.parts.sources import TRANSPORTS, camera, without
from pipeline.turn import Turn
from pipeline.workshop import Workshop

_SECONDS = 14.0
_NAIVE, _ROBOFLOW = "naive OpenVINO", "Roboflow InferencePipeline"
_BOUND = "one thread, best code"
_OURS = ("edgesdk agent", "edgesdk.Pipeline, embedded")


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run naive, Roboflow and ours behind each kind of camera."""
    variant = workshop.artifacts.variants["x86-cpu"]
    contestants = [
        Contestant(_NAIVE, "ov_naive"),
        Contestant(_BOUND, "seq1"),
        Contestant("naive OpenVINO (Roboflow's environment)", "ov_naive", "roboflow"),
        Contestant(_ROBOFLOW, "roboflow", "roboflow"),
        Contestant(_OURS[0], "agent", arguments=("--variant", variant)),
        Contestant(_OURS[1], "embedded", options={"variant": variant}),
    ]
    figures = live_figures(plan.warm_up_s)
    findings = Findings(
        "A live camera and a fast model",
        "640x360 at 30 frames a second from a process of its own. Age is from the moment that the camera drew into the "
        "picture until the receiver had the result: sockets, decoders and the broker are in it. The first "
        f"{plan.warm_up_s:g} s are left out. `{_BOUND}` has nothing to hand over: over MJPEG, where "
        "nothing is held back on the way, it is how young a result can be.",
    )
    for transport in TRANSPORTS:
        reason = without(transport)
        if reason:
            findings.rows[transport] = {"why_not": reason}
            continue
        rounds = Rounds()
        for number in plan.rounds():
            for contestant in plan.order(contestants, number):
                with camera(transport, workshop.artifacts.video) as url:
                    turn = workshop.run(contestant, [url], seconds=plan.seconds(_SECONDS), witness=True)
                plan.say(turn, number, figures)
                findings.turns.append({"transport": transport, **turn_json(turn, number, figures)})
                rounds.add(turn)
        for name in rounds.by_name:
            findings.rows[f"{name}, {transport}"] = rounds.row(name, figures)
        findings.goals += _goals(transport, rounds, figures)
    return findings


def live_figures(warm_up_s: float) -> dict[str, Figure]:
    """Return the columns of a live part."""

    def share(turn: Turn) -> float:
        begin, end = turn.span
        spent = turn.cpu_between(begin + warm_up_s, end)
        return spent / (end - begin - warm_up_s) * 100 if end > begin + warm_up_s else float("nan")

    return {
        "age_p50_ms": lambda turn: ages.age(turn, 50, warm_up_s),
        "age_p95_ms": lambda turn: ages.age(turn, 95, warm_up_s),
        "age_p99_ms": lambda turn: ages.age(turn, 99, warm_up_s),
        "cpu_percent": share,
        "rate": lambda turn: sum(ages.steady_rate(stream, warm_up_s) for stream in turn.streams),
        "repeats": ages.repeats,
        "unstamped": ages.unstamped,
        "peak_rss_mb": lambda turn: turn.peak_rss_bytes / 2**20,
    }


def _goals(transport: str, rounds: Rounds, figures: dict[str, Figure]) -> list[Goal]:
    p95, share = figures["age_p95_ms"], figures["cpu_percent"]
    goals = []
    for ours in _OURS:
        goals += [
            Goal(f"{transport}, {ours}: age p95 / naive's", "<= 0.7", rounds.ratios(ours, _NAIVE, p95)),
            Goal(
                f"{transport}, {ours}: age p95 / Roboflow's",
                "<= 1.0",
                rounds.ratios(ours, _ROBOFLOW, p95),
                rounds.failure(_ROBOFLOW),
            ),
            Goal(f"{transport}, {ours}: processor / naive's", "<= 0.75", rounds.ratios(ours, _NAIVE, share)),
            Goal(f"{transport}, {ours}: repeated frames", "== 0", rounds.values(ours, figures["repeats"])),
        ]
    return goals
