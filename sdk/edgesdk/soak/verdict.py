"""Pass or fail, line by line, from a recording alone; a recording of a faulty agent must fail, and tests see to it.

What was asked for and could not be measured fails, and says why: "not measured" is for what nobody asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edgesdk.soak.growth import descriptors, memory, threads
from edgesdk.soak.line import Bounds, Line, outcome
from edgesdk.soak.loss import ledger
from edgesdk.soak.series import Recording


def verdict(recording: Recording, bounds: Bounds) -> list[Line]:
    """Return every check of a soak."""
    return [
        _age(recording, bounds),
        memory(recording),
        descriptors(recording, bounds),
        threads(recording, bounds),
        _faults(recording),
        _recovery(recording, bounds),
        _cameras(recording),
        ledger(recording),
        _ends(recording),
    ]


def passed(lines: Sequence[Line]) -> bool:
    """Say whether nothing failed."""
    return all(line.outcome != "fail" for line in lines)


def _age(recording: Recording, bounds: Bounds) -> Line:
    quiet = [s.age_p95_ms for s in recording.samples if s.age_p95_ms is not None and _is_quiet(recording, s.at_s)]
    bound = f"≤ {bounds.age_ms:.0f} ms"
    if not quiet:
        return Line("age", "fail", "no result while nothing was broken", bound)
    middle = statistics.median(quiet)
    return Line("age", outcome(middle <= bounds.age_ms), f"p95 {middle:.0f} ms in the median second", bound)


def _is_quiet(recording: Recording, at_s: float) -> bool:
    return not any(one.began_s <= at_s <= one.ended_s + (one.recovered_s or 0.0) + 2.0 for one in recording.injected)


def _faults(recording: Recording) -> Line:
    """Everything that was asked for by name was broken; of `all`, what this machine can do."""
    bound = "each that was named"
    done = {one.name for one in recording.injected}
    why = {name: recording.left_out.get(name, "its turn did not come") for name in recording.asked if name not in done}
    if why:
        return Line("faults", "fail", "; ".join(f"no {name}: {reason}" for name, reason in why.items()), bound)
    if not done and not recording.left_out:
        return Line("faults", "not measured", "none was asked for", bound)
    left_out = f"; left out: {', '.join(sorted(recording.left_out))}" if recording.left_out else ""
    return Line("faults", "pass", f"{len(recording.injected)} faults of {len(done)} kinds{left_out}", bound)


def _recovery(recording: Recording, bounds: Bounds) -> Line:
    bound = f"≤ {bounds.recovery_s:.0f} s"
    if not recording.injected:
        return Line("recovery", "not measured", "nothing was broken", bound)
    never = [one.name for one in recording.injected if one.recovered_s is None]
    if never:
        return Line("recovery", "fail", f"never after {', '.join(never)}", bound)
    slowest = max(recording.injected, key=lambda one: one.recovered_s or 0.0)
    took = slowest.recovered_s or 0.0
    return Line("recovery", outcome(took <= bounds.recovery_s), f"{took:.1f} s at most, after {slowest.name}", bound)


def _cameras(recording: Recording) -> Line:
    """Every camera has results in the last quarter of the soak."""
    lives = recording.lives()
    last = lives[-1] if lives else []
    late = last[-max(2, len(last) // 4) :]
    silent = [
        name
        for name in recording.cameras
        if not late or late[-1].processed.get(name, 0) <= (late[0].processed.get(name, 0) if len(late) > 1 else 0)
    ]
    figure = f"silent: {', '.join(silent)}" if silent else f"all of {len(recording.cameras)}"
    return Line("cameras at the end", outcome(not silent), figure, "all have results")


def _ends(recording: Recording) -> Line:
    ends = [*recording.unplanned_ends]
    if recording.exit_code != 0:
        ends.append("it did not stop when told" if recording.exit_code is None else f"exit code {recording.exit_code}")
    return Line("ends", outcome(not ends), "; ".join(ends) or "none but those told", "none that nobody asked for")
