"""Become what is wanted, and say how far it is: `down/desired` comes in, `up/reported` goes out.

The document is retained, so that it comes on every connection; its version says what is news. A higher one replaces the
last, an older one is ignored. The same one again is nothing new, unless something of it was refused: then it is tried
again, so that a bundle that arrives later, or a device that was mended, converges by itself. Settings that did not come
through their trial are not; see `failed_trial`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import JsonValue

from edgesdk_agent.commands.verbs.log_level import LEVELS
from edgesdk_agent.config.overlay import OverlayFile
from edgesdk_agent.desired.failed_trial import why_barred
from edgesdk_agent.desired.state import DesiredState, read_state
from edgesdk_agent.desired.taken_back import MOST_REFUSALS, with_refusal
from edgesdk_agent.steering.live_settings import LiveSettings
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.paused_cameras import PausedCameras
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.messages import Desired, DesiredReport, Refusal

if TYPE_CHECKING:
    from edgesdk_agent.update.asking import Ask

log = logging.getLogger(__name__)


class Shadow:
    """Converges to the desired state.

    Args:
        settings, cameras, logs: what is changed.
        file: remembers the version, and what became of it.
        report: says it.
        ask_update: asks for an update, see `Controls`; None where this device takes none.
    """

    def __init__(
        self,
        settings: LiveSettings,
        cameras: PausedCameras,
        logs: LogBook,
        file: OverlayFile,
        report: Callable[[DesiredReport], None],
        ask_update: Ask | None = None,
    ) -> None:
        self._settings = settings
        self._cameras = cameras
        self._logs = logs
        self._file = file
        self._report = report
        self._ask_update = ask_update
        self._lock = threading.Lock()
        self._latest: Desired | None = None
        self._counts: Counter[str] = Counter()
        settings.on_taken_back = self._taken_back

    def offer(self, desired: Desired) -> None:
        """Take a document; of several that come before there is time, the highest version counts."""
        with self._lock:
            if self._latest is None or desired.version >= self._latest.version:
                self._latest = desired

    def counts(self) -> dict[str, int]:
        """Return how many documents were taken on, were older, known, in conflict, or did not come through their trial."""
        return dict(self._counts)

    # --- on the commands' thread

    def resume(self) -> None:
        """Go on from the last start: pause what was paused, log as was wanted, and what waited for a start is there."""
        overlay = self._file.now
        for camera in overlay.layer.paused:
            try:
                self._cameras.pause(camera)
            except EdgeError as error:
                # It was renamed or removed meanwhile.
                log.warning("%s %s", error.message, error.hint)
        level = overlay.report.applied.get("log_level")
        if isinstance(level, str) and level in LEVELS:
            self._logs.set_level(LEVELS[level])
        if overlay.version:
            self._say(overlay.report.model_copy(update={"pending": ()}))

    def work(self) -> None:
        """Take on the newest document, if there is one."""
        with self._lock:
            desired, self._latest = self._latest, None
        if desired is None:
            return
        overlay = self._file.now
        if desired.version < overlay.version:
            self._counts["older"] += 1
            return
        if desired.version == overlay.version and overlay.version:
            if desired.state != overlay.wanted:
                self._counts["conflict"] += 1
                why = f"version {desired.version} was given before with another content; raise it"
                self._say(with_refusal(overlay.report, Refusal(what="version", why=why)))
                return
            if not overlay.report.refused:
                self._counts["known"] += 1
                return
        self._counts["taken"] += 1
        self._become(desired)

    def _become(self, desired: Desired) -> None:
        state, refused = read_state(desired.state)
        refused_names = {one.what for one in refused}
        applied: dict[str, JsonValue] = {}
        pending: tuple[str, ...] = ()

        def attempt(name: str, value: JsonValue, become: Callable[[], object]) -> object:
            if name in refused_names:
                return None
            try:
                result = become()
            except EdgeError as error:
                refused.append(Refusal(what=name, why=f"{error.message} {error.hint}".strip()[:4096]))
                return None
            if name in desired.state:
                applied[name] = value
            return result

        version = desired.version
        if barred := why_barred(self._file.now, version):
            self._counts["barred"] += 1
            refused.append(Refusal(what="settings", why=f"taken back: {barred}"[:4096]))
        else:
            waiting = attempt("config", dict(state.config), lambda: self._settings.desire(state.config, version))
            if isinstance(waiting, tuple):
                pending = waiting
            if state.bundle != self._file.now.layer.bundle:
                attempt("bundle", state.bundle, lambda: self._settings.use_bundle(state.bundle, version))
            elif "bundle" in desired.state and "bundle" not in refused_names:
                applied["bundle"] = state.bundle
        self._attempt_rest(state, attempt)
        pending = (*pending, *self._asked_for_update(state, refused))
        report = DesiredReport(
            version=desired.version,
            applied=applied,
            refused=tuple(refused[:MOST_REFUSALS]),
            pending=tuple(one[:256] for one in pending[:MOST_REFUSALS]),
        )
        for one in refused:
            log.warning("Of the desired state %d, %s is refused: %s", desired.version, one.what, one.why)
        self._write(version=desired.version, wanted=desired.state, report=report)
        self._report(report)

    def _attempt_rest(self, state: DesiredState, attempt: Callable[..., object]) -> None:
        level, paused = state.log_level, state.paused_cameras
        if level is not None:
            attempt("log_level", level, lambda: self._logs.set_level(LEVELS[level]))
        if paused is not None:
            attempt("paused_cameras", [*paused], lambda: self._cameras.become(tuple(paused)))

    def _asked_for_update(self, state: DesiredState, refused: list[Refusal]) -> tuple[str, ...]:
        """Ask for another bundle, which is pending from then on: it has a trial of its own, and another way to tell its end."""
        if state.update is None:
            return ()
        try:
            if self._ask_update is None:
                raise InputError("This device takes no updates.", hint="It needs a section `update`, and its launcher.")
            if state.update.leave:
                self._ask_update("back", state.update.leave, "the fleet takes it back")
            else:
                self._ask_update("install", state.update.address, "", state.update.shadow)
        except EdgeError as error:
            refused.append(Refusal(what="update", why=f"{error.message} {error.hint}".strip()[:4096]))
            return ()
        return ("update",)

    def _taken_back(self) -> None:
        overlay = self._file.now
        if overlay.version:
            self._report(overlay.report)

    def _say(self, report: DesiredReport) -> None:
        if report != self._file.now.report:
            self._write(report=report)
        self._report(report)

    def _write(self, **changes: object) -> None:
        # A full disk must not make this start forget what it said: it would call a refused state known.
        self._file.hold(self._file.now.but(**changes))
