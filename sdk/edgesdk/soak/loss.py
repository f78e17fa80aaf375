"""Whether a report was lost: each number is stored once, or declared lost for a cause that something broken explains."""

from __future__ import annotations

import math

from edgesdk.soak.line import Line, outcome
from edgesdk.soak.series import LedgerBalance, Recording

# Reports come unevenly: a fault's end brings its own events, and what had waited.
_UNEVEN = 2.0
_BOUND = "every number stored once, or lost by a fault that explains it"


def ledger(recording: Recording) -> Line:
    """Check what the recorder has; that there was none to ask is a failure, as nothing is known of any report then."""
    balance = recording.ledger
    if balance is None:
        return Line("ledger", "fail", "no recorder ran", _BOUND)
    told = ", ".join(f"{count} ({cause})" for cause, count in sorted(balance.declared.items()))
    figure = f"{balance.stored} stored, {told or 0} declared lost, {balance.holes} missing, {balance.left} left"
    unexplained = [
        f"{cause}: {most} at most"
        for cause, count in balance.declared.items()
        if count > (most := _most(recording, cause))
    ]
    if unexplained:
        figure += f"; explained of {'; of '.join(sorted(unexplained))}"
    good = balance.stored > 0 and not balance.holes and not balance.left and not unexplained
    return Line("ledger", outcome(good), figure, _BOUND)


def _most(recording: Recording, cause: str) -> int:
    """Return how many reports the faults that explain a cause may have cost: those that were made in their time."""
    balance = recording.ledger
    assert balance is not None  # noqa: S101  (asked by the caller)
    explained_s = sum(
        one.ended_s - one.began_s + (one.recovered_s or 0.0) for one in recording.injected if cause in one.may_lose
    )
    lasted_s = recording.samples[-1].at_s if recording.samples else 0.0
    return math.ceil(_UNEVEN * _numbered(balance) * min(1.0, explained_s / lasted_s)) if lasted_s else 0


def _numbered(balance: LedgerBalance) -> int:
    return balance.stored + sum(balance.declared.values()) + balance.holes + balance.left
