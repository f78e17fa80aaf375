"""Agents that are faulty on purpose: the real agent with one fault in it, which a soak must find by the right check."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.soak.field import Field, FieldSettings
from edgesdk.soak.injections.catalogue import injections_named
from edgesdk.soak.line import Bounds, Line
from edgesdk.soak.run import Soak
from edgesdk.soak.verdict import verdict

# Each is a stage of the user's, as the agent loads them by name.
_STAGES = """
import queue, threading, time

kept, waiting = [], queue.SimpleQueue()

def leak(result):
    # A model's wrapper that keeps what it was given: 30 kB a frame.
    kept.append(bytearray(30_000))
    return result

def enqueue(result):
    # A queue without a bound, whose reader is slower than the cameras.
    waiting.put(bytearray(50_000))
    return result

def _send():
    while True:
        waiting.get()
        time.sleep(1.0)

threading.Thread(target=_send, daemon=True).start()
"""


@dataclass(frozen=True, slots=True)
class SeededFault:
    """One fault, and how it is found.

    Attributes:
        found_by: the checks that must fail, and no other.
        stage: the user's stage that does it; empty for none.
        camera: what is set for the camera.
        inject: what is broken meanwhile.
        seconds: of the soak.
    """

    found_by: frozenset[str]
    stage: str = ""
    camera: Mapping[str, Any] = field(default_factory=dict)
    inject: str = ""
    seconds: float = 24.0


# A reader that is not to be tried again within the soak.
_NEVER = {"supervise": {"attempts": 0, "offline_retry_s": 3600}}

SEEDED_FAULTS: Mapping[str, SeededFault] = {
    "leaky model": SeededFault(frozenset({"memory growth"}), stage="leak"),
    "unbounded queue": SeededFault(frozenset({"memory growth"}), stage="enqueue"),
    "reader that never reconnects": SeededFault(
        frozenset({"recovery", "cameras at the end"}), camera=_NEVER, inject="rtsp-drop", seconds=45.0
    ),
}
# The controls: the same soaks of an agent without the fault.
CONTROLS: Mapping[str, SeededFault] = {
    "healthy": SeededFault(frozenset()),
    "reader that reconnects": SeededFault(frozenset(), inject="rtsp-drop", seconds=45.0),
}

KNOWN: Mapping[str, SeededFault] = {**SEEDED_FAULTS, **CONTROLS}


def unexpected(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in what results (`fault`, and `failed`: figures by check) differ from what must be found; empty for in nothing.

    Every fault and control that is known must be there once, and have failed by its own checks and no other.
    """
    names = [str(one["fault"]) for one in results]
    said = [f"{name}: not run once" for name in KNOWN if names.count(name) != 1]
    said += [f"{name}: not known" for name in names if name not in KNOWN]
    for one in results:
        seeded = KNOWN.get(one["fault"])
        if seeded is not None and set(one["failed"]) != seeded.found_by:
            wanted = ", ".join(sorted(seeded.found_by)) or "nothing"
            said.append(
                f"{one['fault']}: failed by {', '.join(sorted(one['failed'])) or 'nothing'} instead of {wanted}"
            )
    return said


def soak_with(
    fault: SeededFault, bundle: Path, folder: Path, say: Callable[[str], None] = lambda _: None
) -> list[Line]:
    """Run the real agent with a fault in it in a new folder, and return the verdict."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faulty.py").write_text(_STAGES)
    agent: dict[str, Any] = {}
    if fault.stage:
        agent = {"hooks_path": str(folder), "stages": {"on_result": f"faulty:{fault.stage}"}}
    field_of_it = Field(FieldSettings(bundle, cameras=1, fps=30, agent=agent, camera=fault.camera), folder)
    soak = Soak(field_of_it, injections_named(fault.inject), duration_s=fault.seconds, say=say)
    return verdict(soak.run(threading.Event()), Bounds())
