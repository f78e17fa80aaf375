"""What all passes together have to bring, against the float model on the same runtime; judged by the figures of `passes.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALL = "prune + distil + qat"
# At least so many times fewer, and at most so much accuracy lost.
FEWER = {"MACs": 4.0, "bytes": 12.0, "latency": 3.0}
MOST_LOST = 0.01


def judged(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each goal with what was found, and whether it is met.

    Args:
        rows: of the table, with `none` and that of all passes.
    """
    small = rows[ALL]
    found = []
    for runtime, before in rows["none"]["artifacts"].items():
        after = small["artifacts"][runtime]
        times = {
            "MACs": small["before"]["macs"] / small["after"]["macs"],
            "bytes": before["bytes"] / after["bytes"],
            "latency": before["timed"]["latency_ms"]["p50"] / after["timed"]["latency_ms"]["p50"],
        }
        for what, value in times.items():
            wanted = f"at least {FEWER[what]:g} times fewer"
            found.append(_one(what, runtime, value, wanted, met=value >= FEWER[what]))
        lost = before["test"]["value"] - after["test"]["value"]
        # A rounding of the difference must not decide.
        met = lost <= MOST_LOST + 1e-9
        found.append(_one("accuracy lost", runtime, lost, f"at most {MOST_LOST:g}", met=met))
    return found


def _one(what: str, runtime: str, value: float, wanted: str, *, met: bool) -> dict[str, Any]:
    return {"what": what, "runtime": runtime, "found": round(value, 4), "wanted": wanted, "met": met}
