"""The shadow run that a device's update asks for: begun once its bundle is staged, followed, and ended with it.

A run that was cut off by the agent's end begins anew, as its processes were gone with it; its time goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow.model_process import Bundled
from edgesdk_agent.shadow.next_frame import NextFrame
from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.shadow.run import Pair, ShadowRun, ShadowSettings
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import EdgeError


class Shown(Protocol):
    """What an agent shows to a shadow run."""

    @property
    def digest(self) -> str:
        """Of the bundle that runs."""
        ...

    @property
    def variant(self) -> str:
        """The variant of it that runs."""
        ...

    def keep_images(self, wanted: bool) -> None:
        """Let results carry their pictures."""
        ...

    def facts(self) -> Facts:
        """Return how the device is; `age_p95_ms` since it was last asked."""
        ...


@dataclass(frozen=True, slots=True)
class Beside:
    """Where frames come from, and how they are compared here.

    Attributes:
        target, variant: as they are configured, empty where not.
    """

    shown: Shown
    frames: NextFrame
    target: str = ""
    variant: str = ""
    settings: Callable[[], ShadowSettings] = ShadowSettings


class DeviceShadow:
    """At most one run at a time; used by the thread of the updates.

    Args:
        beside: None where there are no frames.
    """

    def __init__(self, beside: Beside | None) -> None:
        self._beside = beside
        self._run: ShadowRun | None = None
        self._of = ""

    def look(
        self, release: str, plan: ShadowPlan, *, running: Path, candidate: Path, lasts_s: float
    ) -> ShadowSummary | None:
        """Begin the run of a release unless it goes on, and return what it said once it has ended.

        Args:
            running, candidate: the bundles of both slots.
            lasts_s: what is left of its time.
        """
        if self._beside is None:
            return _held("this agent shows nobody its frames")
        if self._run is not None and self._of != release:
            self.end()
        if self._run is None:
            begun = self._begun(self._beside, plan, running, candidate, lasts_s)
            if isinstance(begun, ShadowSummary):
                return begun
            self._run, self._of = begun, release
            self._beside.shown.keep_images(True)
            begun.start()
        said = self._run.summary
        if said is not None:
            self.end()
        return said

    def end(self) -> None:
        """End the run, if there is one."""
        run, self._run, self._of = self._run, None, ""
        if run is not None and self._beside is not None:
            run.stop()
            self._beside.shown.keep_images(False)

    @staticmethod
    def _begun(
        beside: Beside, plan: ShadowPlan, running: Path, candidate: Path, lasts_s: float
    ) -> ShadowRun | ShadowSummary:
        """Return a run, or why there can be none."""
        shown = beside.shown
        try:
            with open_bundle(running) as bundle:
                digest, task = bundle.digest, bundle.manifest.task
            with open_bundle(candidate) as bundle:
                other = bundle.manifest.task
        except EdgeError as error:
            return _held(error.message)
        if other != task:
            return _held(f"it is for the task {other!r}, and {task!r} runs")
        if digest != shown.digest:
            return _held("another bundle than that of the slot runs: it is set from afar")
        pair = Pair(
            Bundled(candidate, beside.target, beside.variant), Bundled(running, "", shown.variant), digest, task
        )
        return ShadowRun(pair, plan, beside.frames, shown.facts, lasts_s=max(1.0, lasts_s), settings=beside.settings())


def _held(reason: str) -> ShadowSummary:
    return ShadowSummary(verdict="hold", reasons=(reason[:300],))
