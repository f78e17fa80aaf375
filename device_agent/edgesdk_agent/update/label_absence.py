"""Has a label that was common gone? Pure: what is known of a camera's labels before and now in, a reason out, or nothing.

Means say little of a scene that moves: a label comes and goes with the objects, and a dead one differs from chance only by never
coming back. So a trial waits for a label that has not been seen for longer than ever before, where it was common enough for that
to be no everyday thing. One that comes back is forgotten; one that does not holds the trial up until its time is over, which
brings the release before back and blames nobody: that a scene changed for good cannot be told from a class that died.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk_agent.update.result_profile import LABEL, Spread, is_known, stretches_of

# A label that is missing more often than not is missed by nobody.
_COMMON = 0.5
# Less probable than this by chance alone, for one label, going by how often it was seen before. A wait costs little.
_UNUSUAL = 0.2


def absent_label(before: Mapping[str, Spread], now: Mapping[str, Spread]) -> str:
    """Return which label is waited for, the most unusual one; nothing where none is, or too little is known.

    Args:
        before, now: of one camera, as `profile_of` gives them.
    """
    if not is_known(before) or not now:
        return ""
    known, seen = stretches_of(before), stretches_of(now)
    worst, said = _UNUSUAL, ""
    for name, old in before.items():
        if LABEL not in name or old.present < _COMMON:
            continue
        gone_for = now[name].since if name in now else seen
        # Of few stretches a label may have been in each of them by chance.
        chance = (1 - old.present * known / (known + 2)) ** gone_for
        if gone_for > old.longest and chance < worst:
            worst = chance
            said = f"{name}: not seen for {gone_for} stretches of time, and never for more than {old.longest} before"
    return said
