"""Part A: a whole film, every frame, as fast as possible: the limit, ours, and the peers."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.contestants import Contestant
from pipeline.findings import Figure, Findings, Goal, Rounds, turn_json
from pipeline.parts.plan import Plan
from pipeline.workshop import Workshop

_LIMIT, _ONE_THREAD = "practical limit (seq2)", "one thread, best code (seq1)"
_AGENT, _EMBEDDED = "edgesdk agent", "edgesdk.Pipeline, embedded"
_BLOB, _ROBOFLOW = "naive OpenVINO, blob", "Roboflow InferencePipeline"
PEERS = (
    Contestant("naive OpenVINO", "ov_naive"),
    Contestant(_BLOB, "ov_naive_blob"),
    Contestant("AsyncInferQueue", "async_infer_queue"),
    Contestant("naive OpenVINO (peers' environment)", "ov_naive", "loops"),
    Contestant("model API AsyncPipeline", "model_api", "loops"),
    Contestant("imutils", "imutils", "loops"),
    Contestant("vidgear", "vidgear", "loops"),
    Contestant("naive OpenVINO (Roboflow's environment)", "ov_naive", "roboflow"),
    Contestant(_ROBOFLOW, "roboflow", "roboflow"),
)
# What is compared follows each other in a round: the limit stands between the two of ours.
_NEIGHBOURS = (
    (_BLOB, _ONE_THREAD, _AGENT, _LIMIT, _EMBEDDED, _ROBOFLOW),
    ("edgesdk agent, ONNX Runtime", "practical limit, ONNX Runtime"),
    ("edgesdk agent, LiteRT", "practical limit, LiteRT"),
)
_OTHER_RUNTIMES = {"onnxruntime": ("ONNX Runtime", "generic-onnx"), "litert": ("LiteRT", "rpi5")}
FIGURES: dict[str, Figure] = {
    "rate": lambda turn: turn.rate,
    "cpu_ms_a_frame": lambda turn: turn.cpu_ms_a_frame,
    "peak_rss_mb": lambda turn: turn.peak_rss_bytes / 2**20,
    "frames": lambda turn: turn.frames / len(turn.streams),
    "objects": lambda turn: turn.objects / len(turn.streams),
    "start_s": lambda turn: turn.start_s,
}


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run all contestants in turns."""
    ours = _ours(workshop)
    contestants = [
        Contestant(_ONE_THREAD, "seq1"),
        Contestant(_LIMIT, "seq1", copies=2),
        *ours,
        *PEERS,
        *(
            Contestant(f"practical limit, {name}", f"seq1_{key}", copies=2)
            for key, (name, _) in _OTHER_RUNTIMES.items()
        ),
    ]
    findings = Findings(
        "Every frame of a film, as fast as possible",
        "`bottle-detection.mp4` (640x360, 1,189 frames of H.264), from the first result to the last as the receiver takes "
        "them; processor time of the whole process between the two.",
    )
    rounds = Rounds()
    for number in plan.rounds():
        for contestant in plan.order_of_groups(_groups(contestants), number):
            turn = workshop.run(contestant, [str(workshop.artifacts.video)])
            plan.say(turn, number, FIGURES)
            findings.turns.append(turn_json(turn, number, FIGURES))
            rounds.add(turn)
    for name in (contestant.name for contestant in contestants if contestant.name in rounds.by_name):
        findings.rows[name] = rounds.row(name, FIGURES)
    findings.goals = _goals(rounds)
    return findings


def _groups(contestants: Sequence[Contestant]) -> list[list[Contestant]]:
    by_name = {contestant.name: contestant for contestant in contestants}
    groups = [[by_name.pop(name) for name in names] for names in _NEIGHBOURS]
    return groups + [[alone] for alone in by_name.values()]


def _ours(workshop: Workshop) -> list[Contestant]:
    variants = workshop.artifacts.variants
    own = [
        Contestant(_AGENT, "agent", arguments=("--variant", variants["x86-cpu"])),
        Contestant(_EMBEDDED, "embedded", options={"variant": variants["x86-cpu"]}),
    ]
    return own + [
        Contestant(f"edgesdk agent, {name}", "agent", arguments=("--variant", variants[target]))
        for name, target in _OTHER_RUNTIMES.values()
    ]


def _goals(rounds: Rounds) -> list[Goal]:
    rate, cost = FIGURES["rate"], FIGURES["cpu_ms_a_frame"]
    best = rounds.best([peer.name for peer in PEERS], rate)
    goals = []
    for ours in (_AGENT, _EMBEDDED):
        goals += [
            Goal(f"{ours}: rate / practical limit", ">= 0.9", rounds.ratios(ours, _LIMIT, rate)),
            Goal(f"{ours}: rate / best peer ({best})", ">= 1.6", rounds.ratios(ours, best, rate) if best else []),
            Goal(
                f"{ours}: rate / Roboflow",
                ">= 1.7",
                rounds.ratios(ours, _ROBOFLOW, rate),
                rounds.failure(_ROBOFLOW),
            ),
            Goal(
                f"{ours}: processor time a frame / one thread, best code",
                "<= 1.15",
                rounds.ratios(ours, _ONE_THREAD, cost),
            ),
        ]
    for name, _target in _OTHER_RUNTIMES.values():
        values = rounds.ratios(f"edgesdk agent, {name}", f"practical limit, {name}", rate)
        goals.append(Goal(f"edgesdk agent, {name}: rate / its practical limit", ">= 0.85", values))
    frames = [FIGURES["frames"](turn) for turn in rounds.by_name.get(_AGENT, ()) if not turn.failure]
    goals.append(Goal("edgesdk agent: frames with a result, of 1,189", "== 1189", frames))
    return goals
