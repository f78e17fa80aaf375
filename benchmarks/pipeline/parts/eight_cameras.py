"""Part E: eight network cameras in full HD on one model, against eight naive loops."""

from __future__ import annotations

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts.plan import Plan
from pipeline.parts.sources import full_hd, network_cameras, without
from pipeline.parts.stage_shares import stage_figures
from pipeline.turn import Turn
from pipeline.workshop import Workshop

_CAMERAS, _FPS = 8, 5
_SECONDS = 20.0
_OURS, _NAIVE = "edgesdk agent, eight cameras", "eight naive loops"
_BOUND = "eight threads, best code, each in a process"


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Let one agent and eight naive processes watch the same cameras, in turns."""
    findings = Findings(
        "Eight network cameras on one model",
        f"{_CAMERAS} streams of H.264, 1920x1080 at {_FPS} frames a second and 2 Mbit/s each, over RTSP; served as encoded "
        "before, so that the processor is the readers'. The first "
        f"{plan.warm_up_s:g} s are left out. What the agent's stages took is of the whole run, percent of a core: `decode` is "
        "taking and decoding pictures, with their conversion to BGR; `capture` the rest of the cameras' threads; `prepare` "
        "resizes; `infer` is what the lanes themselves do; `deliver` makes the reports; and `rest` is of the whole process "
        "what is in no stage: the runtime's own threads, the broker's, and the main one. Of `best code` each camera has "
        "a process with one thread, which hands nothing over and shares nothing.",
    )
    reason = without("RTSP")
    if reason:
        findings.rows[_OURS] = {"why_not": reason}
        findings.goals.append(Goal("all eight at rate", ">= 0.98", [], reason))
        return findings
    film = full_hd(workshop.artifacts.video, workshop.artifacts.folder.parent, fps=_FPS)
    contestants = [
        Contestant(_OURS, "agent", arguments=("--variant", workshop.artifacts.variants["x86-cpu"])),
        Contestant(_NAIVE, "ov_naive", copies=_CAMERAS),
        Contestant(_BOUND, "seq1", copies=_CAMERAS),
    ]
    figures = _figures(plan.warm_up_s)
    rounds = Rounds()
    for number in plan.rounds():
        for contestant in plan.order(contestants, number):
            with network_cameras(film, _CAMERAS, fps=_FPS) as urls:
                turn = workshop.run(contestant, urls, seconds=plan.seconds(_SECONDS))
            plan.say(turn, number, figures)
            findings.turns.append(turn_json(turn, number, figures))
            rounds.add(turn)
    for name in rounds.by_name:
        findings.rows[name] = rounds.row(name, figures)
    findings.goals = [
        Goal("slowest camera's rate / 5", ">= 0.98", [v / _FPS for v in rounds.values(_OURS, figures["slowest_rate"])]),
        Goal("processor / that of eight naive loops", "<= 0.6", rounds.ratios(_OURS, _NAIVE, figures["cpu_percent"])),
    ]
    return findings


def _figures(warm_up_s: float) -> dict[str, Figure]:
    def share(turn: Turn) -> float:
        begin, end = turn.span
        begin += warm_up_s
        return turn.cpu_between(begin, end) / (end - begin) * 100 if end > begin else float("nan")

    return {
        "cameras": lambda turn: float(len(turn.streams)),
        "slowest_rate": lambda turn: (
            min(stream.after(warm_up_s).rate for stream in turn.streams) if len(turn.streams) == _CAMERAS else 0.0
        ),
        "rate": lambda turn: sum(stream.after(warm_up_s).rate for stream in turn.streams),
        "cpu_percent": share,
        # A naive loop first works off what it buffered while it opened, and so has more frames to do.
        "cpu_ms_a_frame": lambda turn: 10 * share(turn) / sum(stream.after(warm_up_s).rate for stream in turn.streams),
        "peak_rss_mb": lambda turn: turn.peak_rss_bytes / 2**20,
        **stage_figures(),
    }
