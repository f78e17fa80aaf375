"""A desired state that did not come through its trial is remembered, so that the broker's copy of it does no harm again.

The document is retained: it comes on every connection, also right after the restart that took it back. Rule: what was
*judged* worse is not tried again until another version comes. An end of the process on trial may be a cut of the power
and nobody's fault: the state is tried again, though not for ever, as it may also be what ended the process.
"""

from __future__ import annotations

from edgesdk_agent.config.overlay import FailedTrial, Overlay
from edgesdk_agent.desired.taken_back import without_settings

MOST_CUT_OFF = 3
_MOST_CHARACTERS = 3800


def taken_back(overlay: Overlay, why: str, *, judged: bool) -> Overlay:
    """Return an overlay as it was before its trial, with what is remembered and said of the desired state.

    Args:
        judged: the device did worse; else the process ended before that could be known.
    """
    trial = overlay.trial
    if trial is None:
        return overlay
    back = overlay.but(layer=trial.before, trial=None)
    if not trial.version:
        # A command's: what is wanted is as it was.
        return back
    before = overlay.failed
    known = before.cut_off if before is not None and before.version == trial.version else 0
    cut_off = known + (not judged)
    final = judged or cut_off >= MOST_CUT_OFF
    failed = FailedTrial(version=trial.version, why=why[:_MOST_CHARACTERS], cut_off=cut_off, final=final)
    if overlay.version != trial.version:
        # The process ended before this version was taken down as read; what is said is still of the one before.
        return back.but(failed=failed)
    return back.but(failed=failed, report=without_settings(overlay.report, _sentence(failed)))


def passed(overlay: Overlay) -> Overlay:
    """Return an overlay whose trial is over, and well."""
    trial, failed = overlay.trial, overlay.failed
    if trial is not None and failed is not None and failed.version == trial.version:
        overlay = overlay.but(failed=None)
    return overlay.but(trial=None)


def why_barred(overlay: Overlay, version: int) -> str:
    """Return why the settings and the bundle of a version are not tried, or an empty text."""
    failed = overlay.failed
    return _sentence(failed) if failed is not None and failed.final and failed.version == version else ""


def _sentence(failed: FailedTrial) -> str:
    if not failed.final:
        return f"{failed.why} It is tried again, {MOST_CUT_OFF} times in all."
    times = f" So it went {failed.cut_off} times." if failed.cut_off >= MOST_CUT_OFF else ""
    return f"{failed.why}{'' if failed.why.endswith('.') else '.'}{times} It is not tried again; send another version."
