"""Time the artifacts of all rows by turns on one thread, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from artifact import Artifact
from table.timing import Effort, artifact_subject, race

from edgesdk.benchmark.host import host_facts
from edgesdk.benchmark.statistics import ratio

# Of the others there is no runtime of their own on a machine without a GPU.
TIMED = ("ONNX Runtime", "OpenVINO", "LiteRT")
_EFFORT = Effort(rounds=7, turn_s=0.2)


def timed(rows: Mapping[str, Mapping[str, Artifact]], before: str) -> dict[str, Any]:
    """Return each artifact's time, and how many times as fast it is as that of the model before compression.

    Args:
        rows: name → family → artifact.
        before: the name of the row that all are compared with.

    Returns:
        `{"rows": {row: {family: {"ms", "faster": {"value", "low", "high"}}}}, "failed", "others_pct", "repeated", "host"}`;
        the interval is the range over the rounds.
    """
    pairs = {f"{row}, {family}": (row, family) for row in rows for family in rows[row] if family in TIMED}
    subjects = [
        artifact_subject(name, rows[row][family].bundle, rows[row][family].variant)
        for name, (row, family) in pairs.items()
    ]
    found = race(subjects, _EFFORT, lambda line: print(line, file=sys.stderr, flush=True))
    rounds = {name: one["rounds_ms"] for name, one in found["contenders"].items()}
    times: dict[str, dict[str, Any]] = {}
    for name, (row, family) in pairs.items():
        start = f"{before}, {family}"
        if name in rounds and start in rounds:
            ms = sorted(rounds[name])[len(rounds[name]) // 2]
            times.setdefault(row, {})[family] = {"ms": ms, "faster": ratio(rounds[start], rounds[name]).to_json()}
    return {
        "rows": times,
        **{key: found[key] for key in ("failed", "others_pct", "repeated")},
        "host": host_facts().to_json(),
    }
