"""Where an agent's processor time goes, stage by stage: each as a share of the time that the run took."""

from __future__ import annotations

from pipeline.findings import Figure
from pipeline.turn import Turn

STAGES = ("decode", "capture", "prepare", "infer", "deliver", "rest")


def stage_figures() -> dict[str, Figure]:
    """Return a column a stage, percent of a core; not a number for those who do not tell."""
    return {f"{stage}_percent": _figure(stage) for stage in STAGES}


def _figure(stage: str) -> Figure:
    return lambda turn: _shares(turn).get(stage, float("nan"))


def _shares(turn: Turn) -> dict[str, float]:
    """Read the agent's summary; what it counts in no stage is `rest`: the runtime's own threads, the broker's, and the main one."""
    told = turn.notes.get("summary", {})
    if not told.get("cpu_s") or not told.get("seconds"):
        return {}
    spent = dict(told["cpu_s"])
    sources = [camera.get("source", {}) for camera in told.get("cameras", {}).values()]
    decode = sum(source.get("decode_cpu_s") or 0.0 for source in sources)
    # FFmpeg decodes on the thread that captures. GStreamer has threads of its own, which are in no stage, and then the
    # capturing itself is short.
    within = decode <= spent["capture"]
    stages = {
        "decode": decode,
        "capture": spent["capture"] - decode if within else spent["capture"],
        "prepare": spent["preprocess"],
        "infer": spent["infer"],
        "deliver": spent["deliver"],
    }
    shares = {stage: seconds / told["seconds"] * 100 for stage, seconds in stages.items()}
    return {**shares, "rest": turn.cpu_percent - sum(shares.values())}
