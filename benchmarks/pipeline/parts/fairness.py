"""Part G: four cameras on one model: all at their rate, and shared fairly where the model is too slow for all."""

from __future__ import annotations

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts import ages
from pipeline.parts.live import live_figures
from pipeline.parts.plan import Plan
from pipeline.parts.sources import camera, stamped_cameras
from pipeline.turn import Turn
from pipeline.workshop import Workshop

_CAMERAS, _FPS, _SLOW_MS, _ONE_FPS = 4, 15.0, 25.0, 60.0
_SECONDS = 14.0
_FAST, _SLOW, _ONE = "four cameras", "four cameras, slow model", "one camera, slow model"


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run four cameras on the model as it is and on a slow one, and one fast camera on the slow one as its limit."""
    arguments = ("--variant", workshop.artifacts.variants["x86-cpu"])
    figures: dict[str, Figure] = {
        **live_figures(plan.warm_up_s),
        "dropped": _dropped,
        "missing": lambda turn: _missing(turn, plan.warm_up_s),
        "jain": lambda turn: _jain(turn, plan.warm_up_s),
        "age_p95_apart": lambda turn: _apart(turn, plan.warm_up_s),
    }
    findings = Findings(
        "Four cameras on one model",
        f"{_CAMERAS} MJPEG cameras of 640x360 at {_FPS:g} frames a second, each from a process of its own; then with an "
        f"inference of {_SLOW_MS:g} ms in all, which lets through 40 a second. Its limit is one camera of {_ONE_FPS:g}. "
        "`dropped` holds frames from before the model was loaded, as cameras are opened meanwhile; `missing` does not: "
        "it counts the gaps between the first and the last result after the warm-up, and so neither frames before and after "
        "these nor what a camera never gave a number; of a camera without any result it is infinite.",
    )
    rounds = Rounds()
    film, seconds = workshop.artifacts.video, plan.seconds(_SECONDS)
    for number in plan.rounds():
        with stamped_cameras(film, _CAMERAS, fps=_FPS) as urls:
            turns = [
                workshop.run(
                    Contestant(name, "agent", arguments=arguments), urls, seconds=seconds, stage_ms=ms, witness=True
                )
                for name, ms in ((_FAST, 0.0), (_SLOW, _SLOW_MS))
            ]
        with camera("MJPEG over HTTP", film, fps=_ONE_FPS) as url:
            one = Contestant(_ONE, "agent", arguments=arguments)
            turns.append(workshop.run(one, [url], seconds=seconds, stage_ms=_SLOW_MS, witness=True))
        for turn in turns:
            plan.say(turn, number, figures)
            findings.turns.append(turn_json(turn, number, figures))
            rounds.add(turn)
    for name in rounds.by_name:
        findings.rows[name] = rounds.row(name, figures)
    findings.goals = _goals(rounds, figures)
    return findings


def _goals(rounds: Rounds, figures: dict[str, Figure]) -> list[Goal]:
    wanted = _CAMERAS * _FPS
    return [
        Goal(f"results a second / {wanted:g}", ">= 0.98", [v / wanted for v in rounds.values(_FAST, figures["rate"])]),
        Goal("frames without a result", "== 0", rounds.values(_FAST, figures["missing"])),
        Goal("slow model: rate / one camera's", ">= 0.9", rounds.ratios(_SLOW, _ONE, figures["rate"])),
        Goal("slow model: Jain's fairness", ">= 0.99", rounds.values(_SLOW, figures["jain"])),
        Goal("slow model: age p95, oldest / youngest camera", "<= 1.1", rounds.values(_SLOW, figures["age_p95_apart"])),
    ]


def _dropped(turn: Turn) -> float:
    """Return what the agent dropped while it ran; what it stops with in hand is not counted."""
    causes = turn.notes.get("summary", {}).get("frames", {}).get("dropped", {})
    return float(sum(count for cause, count in causes.items() if cause != "stopped"))


def _missing(turn: Turn, warm_up_s: float) -> float:
    """Return how many numbers are wanting among the frames that have a result, the first seconds left out.

    Infinity where a camera has no result at all: of nothing, nothing is wanting.
    """
    numbers = [stream.after(warm_up_s).frame for stream in turn.streams]
    if not numbers or not all(map(len, numbers)):
        return float("inf")
    return float(sum(of_one[-1] - of_one[0] + 1 - len(of_one) for of_one in numbers))


def _jain(turn: Turn, warm_up_s: float) -> float:
    """Return the square of the sum over the sum of squares, of the cameras' rates: 1 where all are alike."""
    rates = [stream.after(warm_up_s).rate for stream in turn.streams]
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else float("nan")


def _apart(turn: Turn, warm_up_s: float) -> float:
    each = [ages.age_of([stream], 95, warm_up_s) for stream in turn.streams]
    return max(each) / min(each) if each else float("nan")
