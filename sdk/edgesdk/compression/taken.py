"""What of a compression was taken, and why: in sentences, for the report and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ADVICE = {"pass": "may be deployed", "fail": "is not for use", "need more samples": "is not proven"}
_UNKNOWN = "is to be measured where it will run"


def taken(document: Mapping[str, Any]) -> list[str]:
    """Return the sentences.

    Args:
        document: as `Compression.to_json` gives it; of a run that ended early with `stopped` and without a conversion.
    """
    passes = document["passes"]
    if document["conversion"] is None:
        sound = [report["kind"] for report in passes if report["outcome"] == "pass"]
        kept = (
            f"the model after {sound[-1]} is the last that passed the gate"
            if sound
            else "no pass came through the gate"
        )
        return [f"Nothing was taken: {document.get('stopped', 'the run ended early')} Of what was tried, {kept}."]
    last = passes[-1]
    lines = [_result(document), f"Why: the gate says {last['outcome']}: {_bare(last['reason'])}."]
    if len(passes) > 1:
        lines.append(_most(document))
    for variant in document["conversion"]["variants"]:
        accuracy = variant["accuracy"]
        outcome = accuracy.get("outcome", "not measured")
        reason = _bare(str(accuracy.get("reason", "")))
        lines.append(f"{variant['id']} {_ADVICE.get(outcome, _UNKNOWN)}: {outcome}{f' ({reason})' if reason else ''}.")
    return lines


def _result(document: Mapping[str, Any]) -> str:
    last, before, after = document["passes"][-1], document["before"], document["after"]
    count = len(document["passes"])
    which = f"the last of {count} passes" if count > 1 else "the only pass"
    return (
        f"Taken is the model after {last['kind']}, {which}: "
        f"{_times(before, after, 'macs')} times fewer multiplications, {_times(before, after, 'deflated_bytes')} times fewer bytes "
        f"deflated, {document['figure']} {document['score']:.2%} → {last['score']:.2%} on the pictures to choose by."
    )


def _times(before: Mapping[str, int], after: Mapping[str, int], name: str) -> str:
    return f"{before[name] / max(1, after[name]):.2f}"


def _most(document: Mapping[str, Any]) -> str:
    """Say which pass brought most, and which cost most."""
    reports = document["passes"]
    scores = [document["score"], *(report["score"] for report in reports)]
    shares = {
        i: one["after"]["deflated_bytes"] / max(1, one["before"]["deflated_bytes"]) for i, one in enumerate(reports)
    }
    lost = {i: scores[i] - scores[i + 1] for i in range(len(reports))}
    smallest, dearest = min(shares, key=lambda i: shares[i]), max(lost, key=lambda i: lost[i])
    brought = f"Most bytes went with {reports[smallest]['kind']} ({1 - shares[smallest]:.0%} of what was there)"
    if shares[smallest] >= 1:
        brought = "No pass made the deflated weights smaller"
    cost = f"most was lost by {reports[dearest]['kind']} ({100 * lost[dearest]:.2f} points)"
    return f"{brought}; {cost if lost[dearest] > 0 else 'no pass lost anything'}, by the quick scores."


def _bare(reason: str) -> str:
    """Return a reason without the stop that the sentence around it has."""
    return reason.rstrip(".")
