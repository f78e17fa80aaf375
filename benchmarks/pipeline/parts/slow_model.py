"""Part C: a live camera before a model of 60 ms: age stays at its bound, and every frame is accounted for."""

from __future__ import annotations

import time

import numpy as np

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts import ages
from pipeline.parts.live import live_figures
from pipeline.parts.plan import Plan
from pipeline.parts.sources import FPS, camera
from pipeline.turn import Turn
from pipeline.workshop import Workshop

_STAGE_MS = 60.0
_PERIOD_MS = 1000 / FPS
_LONG_S, _SHORT_S = 62.0, 20.0
_OFFSETS_S = (0.0, 0.011, 0.022)
_NAIVE, _ROBOFLOW, _OURS = "naive OpenVINO", "Roboflow InferencePipeline", "edgesdk agent"


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run ours for a minute from three offsets to the camera's clock, Roboflow beside it, and a naive loop for the picture."""
    arguments = ("--variant", workshop.artifacts.variants["x86-cpu"])
    contestants = [
        Contestant(_OURS, "agent", arguments=arguments),
        Contestant(_ROBOFLOW, "roboflow", "roboflow"),
        Contestant(_NAIVE, "ov_naive"),
    ]
    figures: dict[str, Figure] = {
        **live_figures(plan.warm_up_s),
        "growth_ms": lambda turn: ages.growth(turn, plan.warm_up_s),
        "stage_p50_ms": _stage,
    }
    findings = Findings(
        f"A live camera and a model of {_STAGE_MS:g} ms",
        f"As B over MJPEG. An inference takes {_STAGE_MS:g} ms in all, as on one slow device: what the real one leaves of them is "
        "slept away without Python's lock, for every contestant alike. Each starts at three offsets to the camera, round by round.",
    )
    rounds = Rounds()
    for number in range(max(len(plan.rounds()), len(_OFFSETS_S))):
        offset = _OFFSETS_S[number % len(_OFFSETS_S)]
        for contestant in plan.order(contestants, number):
            with camera("MJPEG over HTTP", workshop.artifacts.video) as url:
                time.sleep(offset)
                turn = workshop.run(
                    contestant,
                    [url],
                    seconds=plan.seconds(_LONG_S if contestant.is_agent else _SHORT_S),
                    stage_ms=_STAGE_MS,
                    witness=True,
                )
            plan.say(turn, number, figures)
            account = _account(turn) if contestant.is_agent else {}
            findings.turns.append({"offset_ms": offset * 1e3, **turn_json(turn, number, figures), **account})
            rounds.add(turn)
    for name in rounds.by_name:
        findings.rows[name] = rounds.row(name, figures)
    findings.goals = _goals(rounds, figures)
    return findings


def _stage(turn: Turn) -> float:
    """Return the time of inference and sleep, ms, as the agent's summary tells it."""
    found = turn.notes.get("summary", {}).get("infer_ms", {}).get("p50")
    return float("nan") if found is None else float(found)


def _account(turn: Turn) -> dict[str, float]:
    """Return what the camera sent, by the stamps, and what the agent says became of it."""
    if turn.failure or not turn.notes.get("cameras"):
        return {}
    frames = turn.notes["summary"]["frames"]
    stamps = np.array([np.nan if stamp is None else stamp for _, stamp in turn.notes["cameras"][0]])
    # The camera leaves out what it is too late for: pictures are counted by their stamps, and gaps told beside.
    return {
        "source": len(np.unique(stamps)),
        "processed": frames["processed"],
        "dropped": sum(frames["dropped"].values()),
        "gaps_at_source": int(np.round(np.diff(stamps) / (_PERIOD_MS / 1e3) - 1).clip(0).sum()),
        "results": len(turn.streams[0].at),
    }


def _difference(turn: Turn) -> float:
    account = _account(turn)
    if not account:
        return float("nan")
    lost = abs(account["processed"] - account["results"])
    return abs(account["source"] - account["processed"] - account["dropped"]) + lost


def _goals(rounds: Rounds, figures: dict[str, Figure]) -> list[Goal]:
    p95 = [
        value - stage
        for value, stage in zip(rounds.values(_OURS, figures["age_p95_ms"]), rounds.values(_OURS, _stage), strict=True)
    ]
    middle = [
        ours - theirs
        for ours, theirs in zip(
            rounds.values(_OURS, figures["age_p50_ms"]), rounds.values(_ROBOFLOW, figures["age_p50_ms"]), strict=False
        )
    ]
    completed = [rate / (1000 / _STAGE_MS) for rate in rounds.values(_OURS, figures["rate"])]
    return [
        Goal("age p95 above the slowed stage + a frame period, ms", "<= 8", [value - _PERIOD_MS for value in p95]),
        Goal("age p50 above Roboflow's, ms", "<= 5", middle, rounds.failure(_ROBOFLOW)),
        Goal("completed / (1000 / 60)", ">= 0.92", completed),
        Goal(
            "age of the last quarter above the first, ms",
            f"<= {_PERIOD_MS:.1f}",
            rounds.values(_OURS, figures["growth_ms"]),
        ),
        Goal("frames that the accounts do not agree on", "== 0", rounds.values(_OURS, _difference)),
    ]
