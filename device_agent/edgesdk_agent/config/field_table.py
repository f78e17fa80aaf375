"""The one table of what may be done with a field of the configuration beside writing it into the file.

A row holds for a field and for all fields below it; of several rows the most particular holds, but for what is closed from
afar: that is closed whatever stands below it. A field without a row needs a restart, may be set from afar where
`commands.settable` says so, and is not for a bundle to propose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# The parts of the running agent that take changes on, in their order: what may fail comes first. `model` also means: the
# bundle is loaded, proven and takes over between two frames.
PARTS = ("model", "scenes", "frame_data", "reporting", "commands")


@dataclass(frozen=True, slots=True)
class Row:
    """What may be done with a field.

    Attributes:
        part: that takes a change on while the agent runs; empty: it needs a restart.
        from_afar: set by messages unless the configuration says otherwise, where it says so, or never. A device must not
            be made to run other code, to talk to somebody else, or to be unreachable; a second door would need a second guard.
        by_bundle: a bundle may propose it; it comes from outside, and so names no camera, broker, path or code.
    """

    part: str = ""
    from_afar: Literal["usually", "if allowed", "never"] = "if allowed"
    by_bundle: bool = False


_CLOSED = Row(from_afar="never")
_SCENES, _GATES, _LIMITS = Row("scenes"), Row("frame_data"), Row("commands", "never")
ROWS: Mapping[str, Row] = {
    "device": _CLOSED,
    "bundle": Row("model", "never"),
    "target": Row("model", "usually"),
    "variant": Row("model", "usually"),
    "then": Row("model"),
    "then.bundle": Row("model", "never"),
    "pipeline": Row("model", "usually", by_bundle=True),
    "telemetry": Row("reporting", "usually", by_bundle=True),
    "mqtt.max_results_per_s": Row("reporting", "usually", by_bundle=True),
    # Who the device talks to, and as whom.
    **dict.fromkeys(
        [f"mqtt.{name}" for name in ("url", "username", "password", "ca", "cert", "key", "insecure", "client_id")], _CLOSED
    ),
    "hooks": _CLOSED,
    "hooks_path": _CLOSED,
    "stages": _CLOSED,
    # A whole section `events` that comes or goes needs a restart: its path is no field below.
    "events": Row(by_bundle=True),
    **dict.fromkeys(
        [
            f"events.{name}"
            for name in ("zones", "lines", "rules", "tracker", "report", "moved", "silence_s", "summary_interval_s")
        ],
        _SCENES,
    ),
    # The numbers of the gates; which of them there are is settled at the start.
    **dict.fromkeys(
        [
            f"frame_data.{name}"
            for name in (
                "corrupt_part", "overexposed_part", "sharpness_below", "motion_part", "hash_distance", "longest_silence_s"
            )
        ],
        _GATES,
    ),
    # Whose bundles are taken, and from where they run.
    "update": _CLOSED,
    "commands": _CLOSED,
    **dict.fromkeys([f"commands.{name}" for name in ("settable", "bundles", "require_golden", "trial_s")], _LIMITS),
}  # fmt: skip

NEVER_SETTABLE = tuple(path for path, row in ROWS.items() if row.from_afar == "never")
USUALLY_SETTABLE = tuple(path for path, row in ROWS.items() if row.from_afar == "usually")
PROPOSABLE = tuple(path for path, row in ROWS.items() if row.by_bundle)


def is_below(path: str, above: str) -> bool:
    """Say whether a dotted path is a field or what stands below it."""
    return path == above or path.startswith((f"{above}.", f"{above}["))


def part_of(path: str) -> str:
    """Return the part of the agent that takes a field on while it runs, or an empty text."""
    rows = [field for field in ROWS if is_below(path, field)]
    return ROWS[max(rows, key=len)].part if rows else ""
