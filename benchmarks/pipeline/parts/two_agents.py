"""Part J: two agents at once on one machine, each with every frame of the film, beside two copies of the best code.

OpenVINO's pinning holds the threads of two processes to the same core, so that both lose half. The agent pins only where no
other does; the control are two that are both told to pin.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts.plan import Plan
from pipeline.turn import Turn
from pipeline.workshop import Workshop

_LIMIT, _ONE, _TWO = "practical limit (seq2)", "one agent", "two agents"
_FREE, _PINNED = "two agents, neither pins", "two agents, both told to pin"
_APART = "two agents, a core each (taskset)"
_PIN = "EDGESDK_PIPELINE__PIN"


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run one agent and two, as they decide themselves and as they are told, and the limit."""
    arguments = ("--variant", workshop.artifacts.variants["x86-cpu"])
    film = [str(workshop.artifacts.video)]

    def agents(name: str, copies: int, pin: str = "auto") -> Contestant:
        return Contestant(name, "agent", copies=copies, arguments=arguments, environ={_PIN: pin})

    contestants = [
        Contestant(_LIMIT, "seq1", copies=2),
        agents(_ONE, 1),
        agents(_TWO, 2),
        agents(_FREE, 2, "off"),
        agents(_PINNED, 2, "on"),
        replace(agents(_APART, 2), core_each=True),
    ]
    findings = Findings(
        "Two agents at once",
        "Two agents on one machine, each with every frame of `bottle-detection.mp4`; the rate of both together, while both "
        "have results. As they decide it, the first one pins its threads, and the second one leaves its own free.",
    )
    figures: dict[str, Figure] = {
        "rate": _rate,
        "slower": lambda turn: min(_rates(turn)),
        "cpu_ms_a_frame": lambda turn: turn.cpu_ms_a_frame,
        "frames": lambda turn: turn.frames / len(turn.streams),
    }
    # What an agent finds out once about a machine it finds out alone: on its own, and where another one pins.
    for once in (agents(_ONE, 1), agents("one agent, not pinned", 1, "off")):
        workshop.run(once, film, guarded=False)
    rounds = Rounds()
    for number in plan.rounds():
        for contestant in plan.order(contestants, number):
            turn = workshop.run(contestant, film)
            plan.say(turn, number, figures)
            findings.turns.append(turn_json(turn, number, figures))
            rounds.add(turn)
    for name in (contestant.name for contestant in contestants if contestant.name in rounds.by_name):
        findings.rows[name] = rounds.row(name, figures)
    findings.goals = [
        Goal("two agents: rate / practical limit", ">= 0.85", rounds.ratios(_TWO, _LIMIT, _rate)),
        Goal("two agents: rate / neither pins", ">= 0.97", rounds.ratios(_TWO, _FREE, _rate)),
        Goal("two agents, a core each: rate / practical limit", ">= 0.85", rounds.ratios(_APART, _LIMIT, _rate)),
        Goal("two agents: rate / both told to pin", ">= 1.0", rounds.ratios(_TWO, _PINNED, _rate)),
        Goal("two agents: the slower one / half of both", ">= 0.8", [_evenness(t) for t in _good(rounds, _TWO)]),
        Goal(
            "two agents: frames with a result each, of 1,189",
            "== 1189",
            [figures["frames"](t) for t in _good(rounds, _TWO)],
        ),
    ]
    return findings


def _good(rounds: Rounds, name: str) -> list[Turn]:
    return [turn for turn in rounds.by_name.get(name, ()) if not turn.failure]


def _rates(turn: Turn) -> list[float]:
    """Return each program's results a second while all have results: who is left alone at the end is quicker."""
    begin = max(stream.at[0] for stream in turn.streams)
    end = min(stream.at[-1] for stream in turn.streams)
    if end <= begin:
        return [float("nan")] * len(turn.streams)
    return [float(((stream.at >= begin) & (stream.at <= end)).sum() - 1) / (end - begin) for stream in turn.streams]


def _rate(turn: Turn) -> float:
    return sum(_rates(turn))


def _evenness(turn: Turn) -> float:
    rates = _rates(turn)
    return min(rates) / (sum(rates) / len(rates))
