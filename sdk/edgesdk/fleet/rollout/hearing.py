"""What a device's own report makes of it in a roll-out. Pure, and the report always wins over what was believed.

waiting ─▶ shadow run ─▶ promoted ─▶ as waiting
waiting ─ told ─▶ told ─▶ updating ─▶ confirmed ─ asked to ─▶ going back ─▶ back
└────────┴──▶ failed ─────────────┘             └─▶ stays
"""

from __future__ import annotations

from edgesdk.fleet.rollout.model import Device, Failure, Step
from edgesdk.fleet.rollout.seen import UNDER_WAY, Report
from edgesdk.fleet.rollout.shadow_wave import heard_shadow

_SHADOW = frozenset({Step.SHADOWING, Step.SHADOWED})
_ON_THE_WAY = frozenset({Step.TOLD, Step.UPDATING})
_LEFT = "it runs another one by now"


def heard(device: Device, report: Report, digest: str, now: float) -> Device:
    """Return a device as its report shows it.

    Args:
        digest: of the roll-out's bundle.
    """
    runs_it = report.executing == digest
    said = report.word.step if report.word is not None else ""
    device = device.but(said=said) if said and said != device.said else device
    if device.step is Step.WAITING or (device.step in _SHADOW and runs_it):
        # Somebody else brought it, or this is an old backup: what is there, is there.
        return told(device, report, digest, now) if runs_it else device
    if device.step in _SHADOW and not runs_it:
        return heard_shadow(device, report)
    if device.step in _ON_THE_WAY or device.step is Step.FAILED:
        return _updating(device, report, now, runs_it=runs_it)
    if device.step is Step.CONFIRMED and report.executing and not runs_it:
        return device.but(step=Step.FAILED, failure=Failure.FAILED, why=_LEFT)
    if device.step is Step.LEAVING:
        return _leaving(device, report, runs_it=runs_it)
    if device.step is Step.RETURNED and runs_it:
        return device.but(step=Step.LEAVING)
    if device.step is Step.STAYS and report.executing and not runs_it and not _says_stays(report, runs_it=runs_it):
        return device.but(step=Step.RETURNED, why="")
    return device


def told(device: Device, report: Report | None, digest: str, now: float) -> Device:
    """Return a device whose turn it is; one that runs the bundle already has nothing to say about it any more."""
    executing = report.executing if report is not None else ""
    runs_it = executing == digest
    return device.but(
        step=Step.CONFIRMED if runs_it else Step.TOLD, told_at=now, told_version=0, before=executing,
        confirmed_at=now if runs_it else None, failure=Failure.NONE, said="", why="",
    )  # fmt: skip


def recalled(device: Device) -> Device:
    """Return a device that is asked to go back; its failure stays on record."""
    if not device.touched or device.step.recalled:
        return device
    return device.but(step=Step.LEAVING, told_version=0)


def _updating(device: Device, report: Report, now: float, *, runs_it: bool) -> Device:
    word = report.word
    if word is not None and word.step == "confirmed" and runs_it:
        # Also of one that was given up as silent: it was only late. What did worse goes back and is no more here.
        return device.but(step=Step.CONFIRMED, confirmed_at=word.at, failure=Failure.NONE, why="")
    if report.keeps:
        # A store that is an old backup has lost the words that came since; what is installed is said on each connection.
        return device.but(step=Step.CONFIRMED, confirmed_at=now, failure=Failure.NONE, why="")
    if word is not None and word.step in {"rolled back", "idle"}:
        return device.but(step=Step.FAILED, failure=Failure.FAILED, why=word.why or device.why or "it ended its update")
    if word is not None and word.step == "refused":
        return device.but(step=Step.FAILED, failure=Failure.REJECTED, why=word.why)
    if report.refuses and device.told_version and report.answered >= device.told_version:
        return device.but(step=Step.FAILED, failure=Failure.REJECTED, why=report.refuses)
    if device.step is Step.TOLD and (runs_it or (word is not None and word.step in UNDER_WAY)):
        return device.but(step=Step.UPDATING)
    return device


def _leaving(device: Device, report: Report, *, runs_it: bool) -> Device:
    word = report.word
    # It is back when it has heard what is wanted, runs something else, and has nothing of this bundle under way.
    answered = device.told_version > 0 and report.answered >= device.told_version
    if not answered:
        return device
    if word is not None and _says_stays(report, runs_it=runs_it):
        return device.but(step=Step.STAYS, why=word.why)
    if report.refuses and runs_it:
        return device.but(step=Step.STAYS, why=report.refuses)
    # The way back is a trial too, of the bundle before: where that fails, this one runs again.
    under_way = not report.settled and (report.under_way or (word is not None and word.step in UNDER_WAY))
    return device if runs_it or under_way or not report.executing else device.but(step=Step.RETURNED)


def _says_stays(report: Report, *, runs_it: bool) -> bool:
    """Say whether a device keeps the release, by its word; one that names another release which it runs is not asked further."""
    says_which = report.executing.startswith("sha256:")
    return report.word is not None and report.word.step == "stays" and (runs_it or not says_which)
