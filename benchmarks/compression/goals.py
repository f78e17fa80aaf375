"""What compression has to bring, judged by the figures of the tables; what was not measured is neither met nor not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rows import BEFORE

# A rounding of a difference must not decide.
_ROUNDING = 1e-9
MOST_LOST = 0.01


def fewer(what: str, family: str, before: float, after: float, times: float) -> dict[str, Any]:
    """Judge whether something became at least so many times smaller."""
    return _goal(what, family, before / after, f"at least {times:g} times fewer", met=before / after >= times)


def lost(family: str, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Judge whether an artifact lost at most a point; the interval is told beside it."""
    found = artifact["lost"]
    words = f"at most {MOST_LOST:g}"
    goal = _goal(
        f"{artifact['figure']['name']} lost", family, found["value"], words, met=found["value"] <= MOST_LOST + _ROUNDING
    )
    return {**goal, "interval": [found["low"], found["high"]]}


def of_all_passes(rows: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Judge ResNet-20 after all passes: 4 times fewer MACs, 12 times fewer bytes, 3 times the speed, a point at most.

    Args:
        rows: of the model.
        name: of the row with all passes.
    """
    if name not in rows or BEFORE not in rows:
        return [_goal("all passes", "", None, "measured", met=None)]
    small = rows[name]
    found = [fewer("MACs", "", small["before"]["macs"], small["after"]["macs"], 4)]
    for family, after in small["artifacts"].items():
        before = rows[BEFORE]["artifacts"][family]
        found.append(fewer("bytes stored in the bundle", family, before["deflated_bytes"], after["deflated_bytes"], 12))
        found.append(fewer("bytes of the files unpacked", family, before["bytes"], after["bytes"], 12))
        if "faster" in after:
            value = after["faster"]["value"]
            found.append(_goal("latency", family, value, "at least 3 times lower", met=value >= 3))
        else:
            found.append(_goal("latency", family, None, "at least 3 times lower", met=None))
        found.append(lost(family, after))
    return found


def of_the_reader(rows: Mapping[str, Any], plain: str, clustered: str) -> list[dict[str, Any]]:
    """Judge the reader: 3 times fewer bytes at equal precision, a point of word accuracy at most.

    Args:
        plain: the row whose files have to be smaller as they are.
        clustered: the row whose files have to be smaller as deflate stores them.
    """
    found = []
    for name, what in ((plain, "bytes"), (clustered, "deflated_bytes")):
        if name not in rows or BEFORE not in rows:
            found.append(_goal(name, "", None, "measured", met=None))
            continue
        for family, after in rows[name]["artifacts"].items():
            before = rows[BEFORE]["artifacts"][family]
            said = "bytes of the files unpacked" if what == "bytes" else "bytes stored in the bundle"
            found.append({**fewer(said, family, before[what], after[what], 3), "row": name})
            found.append({**lost(family, after), "row": name})
    return found


def _goal(what: str, family: str, value: float | None, wanted: str, *, met: bool | None) -> dict[str, Any]:
    rounded = None if value is None else round(value, 4)
    return {"what": what, "family": family, "found": rounded, "wanted": wanted, "met": met}
