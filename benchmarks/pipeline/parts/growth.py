"""Part I: whether the agent's memory grows while it runs for long; a busy machine does not matter here."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from typing_extensions import Self

from pipeline.contestants import Contestant
from pipeline.findings import Findings, Goal
from pipeline.parts.plan import Plan
from pipeline.parts.sources import camera
from pipeline.process_cost import descendants, rss_bytes
from pipeline.workshop import Workshop

_OURS = "edgesdk agent"
_SETTLED_S, _LOOK_S = 60.0, 1.0
# Of what was seen after the first minute, the beginning and the end that are compared.
_PART = 20


def measure(workshop: Workshop, plan: Plan) -> Findings:
    """Run the agent on a live camera for `--soak` minutes, and look at its memory every second."""
    findings = Findings(
        "Memory over time",
        f"The agent on a live camera as in F, for {plan.soak_s / 60:g} minutes; its memory is looked at every second. The first "
        f"minute is left out, and of the rest the first {100 // _PART} % are compared with the last. Other work on the machine "
        "does not matter to it.",
        guarded=False,
    )
    arguments = ("--variant", workshop.artifacts.variants["x86-cpu"])
    with camera("MJPEG over HTTP", workshop.artifacts.video) as url, _Watcher() as watcher:
        turn = workshop.run(Contestant(_OURS, "agent", arguments=arguments), [url], seconds=plan.soak_s, guarded=False)
    settled = watcher.after(_SETTLED_S)
    goal = "growth from the first minute to the last, MB"
    if turn.failure or len(settled) < 2:
        findings.goals.append(Goal(goal, "<= 2", [], turn.failure or "the run was shorter than a minute"))
        return findings
    part = max(1, len(settled) // _PART)
    first, last = (sum(sizes) / part / 2**20 for sizes in (settled[:part], settled[-part:]))
    findings.rows[_OURS] = {
        "results": turn.frames,
        "after a minute mb": round(first, 2),
        "at the end mb": round(last, 2),
        "peak rss mb": round(turn.peak_rss_bytes / 2**20, 1),
    }
    findings.goals.append(Goal(goal, "<= 2", [round(last - first, 3)]))
    return findings


class _Watcher:
    """Looks at the memory of the agent that runs below this process, whichever attempt it is."""

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[float, int]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def after(self, seconds: float) -> list[int]:
        """Return the bytes that were seen of the last agent, from so long after its start on."""
        seen = list(self._seen.values())[-1] if self._seen else []
        return [size for at, size in seen if at - seen[0][0] >= seconds]

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            if pids := [pid for pid in descendants(os.getpid()) if _is_agent(pid)]:
                self._seen.setdefault(pids[0], []).append((time.monotonic(), rss_bytes(pids)))


def _is_agent(pid: int) -> bool:
    try:
        return b"run.py\0agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
