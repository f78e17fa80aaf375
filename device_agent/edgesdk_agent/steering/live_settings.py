"""The configuration while it is in use: changed whole, on trial where it was changed from afar, or not at all.

    check → write down, with what was before → hand to the parts that take it on → watch → keep, or take back

What fails before the watch is over takes everything back: the file of the overlay holds what was before until the trial
has ended well, so that a crash, a cut of the power or a restart in between takes it back too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from edgesdk_agent.config.change import changes, needing_restart, parts_of
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.overlay import Layer, Overlay, OverlayFile, Trial, checked_values
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.desired.failed_trial import passed, taken_back
from edgesdk_agent.steering.asked_values import beside, check_allowed, flat
from edgesdk_agent.steering.health_mark import Mark
from edgesdk_agent.steering.surroundings import Surroundings
from edgesdk_agent.steering.trial_watch import TrialWatch
from edgesdk_targets.errors import EdgeError, InputError

log = logging.getLogger(__name__)


class LiveSettings:
    """What is in effect, and how it changes; used by the commands' thread alone.

    Args:
        source: reads the configuration again.
        loaded: what is in effect.
        file: the overlay.
        around: the agent.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        source: ConfigSource,
        loaded: LoadedConfig,
        file: OverlayFile,
        around: Surroundings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self.loaded = loaded
        self._file = file
        self._around = around
        self._watch = TrialWatch(around.mark, clock)
        self.on_taken_back: Callable[[], None] = _nobody
        if file.now.trial is not None:
            # This start is the trial: before it nothing is known, and everything is to be shown.
            self._watch.begin(Mark(), self.config.commands.trial_s)

    @property
    def config(self) -> AgentConfig:
        """What is in effect."""
        return self.loaded.config

    def set(self, values: Mapping[str, JsonValue], *, restart: bool = False) -> dict[str, JsonValue]:
        """Set fields by dotted path, all or none; null takes back what was set.

        Raises:
            EdgeError: a field is unknown, may not be set, is wrong, or needs a restart that is not asked for.
        """
        layer = self._file.now.layer
        asked = flat(values)
        given = {path: value for path, value in asked.items() if value is not None}
        wanted = layer.model_copy(update={"set": {**beside(layer.set, asked), **given}})
        return self._become(wanted, tuple(asked), restart=restart)

    def desire(self, values: Mapping[str, JsonValue], version: int = 0) -> tuple[str, ...]:
        """Take on the desired state's settings, and return what of them waits for a restart.

        Args:
            version: of the desired state.

        Raises:
            EdgeError: as `set`; nothing was changed.
        """
        layer = self._file.now.layer
        asked = {path: value for path, value in flat(values).items() if value is not None}
        # The newer word holds: what a command set before gives way to what is wanted now.
        wanted = layer.model_copy(update={"desired": asked, "set": beside(layer.set, asked)})
        told = self._become(wanted, tuple(asked), later=True, version=version)
        pending = told.get("pending", [])
        return tuple(map(str, pending)) if isinstance(pending, list) else ()

    def use_bundle(self, name: str, version: int = 0) -> dict[str, JsonValue]:
        """Let a bundle of the folder of bundles take over; an empty name means the configuration's own.

        Args:
            version: of the desired state that asks for it; 0 where a command does.

        Raises:
            EdgeError: it is not there, or not proven; the old one goes on.
        """
        layer = self._file.now.layer.model_copy(update={"bundle": name})
        try:
            return self._become(layer, ("bundle",) if name else (), version=version)
        except EdgeError as error:
            self._around.tell("bundle_refused", "error", f"{name}: {error.message}")
            raise

    def reload(self) -> dict[str, JsonValue]:
        """Read the configuration again, and apply what changed, all or nothing.

        Raises:
            EdgeError: it is wrong, or something in it needs a restart; nothing was changed.
        """
        try:
            loaded = self._source.load(self._file.now.layer)
            found = changes(self.config, loaded.config)
            self._refuse_restart(needing_restart(found))
            parts = parts_of(found)
            if "model" not in parts and self._around.bundle_differs(loaded.config):
                parts = ("model", *parts)
            self._apply(parts, loaded)
        except EdgeError as error:
            self._around.tell("config_refused", "error", error.message)
            raise
        names: list[JsonValue] = [change.path for change in found]
        if parts:
            self._around.tell("config_reloaded", "info", ", ".join(map(str, names)) or "the bundle's file")
        return {"changed": names}

    def tick(self) -> None:
        """Look at what is on trial, and write what the disk did not take; called a few times a second."""
        self._file.pay()
        verdict = self._watch.look()
        if verdict is None:
            return
        if verdict.worse:
            self._take_back(verdict.worse)
        elif verdict.over:
            trial = self._file.now.trial
            # One that waits for a restart is yet to come.
            if trial is not None and not trial.waits:
                self._file.hold(passed(self._file.now))
            self._around.tell("settings_kept", "info", "The trial is over, and the device does as well as before.")

    # --- inside

    def _become(
        self, layer: Layer, asked: tuple[str, ...], *, restart: bool = False, later: bool = False, version: int = 0
    ) -> dict[str, JsonValue]:
        checked_values({path: value for path, (value, _) in layer.values().items()})
        loaded = self._source.load(layer)
        check_allowed(asked, self.config.commands, loaded)
        found = changes(self.config, loaded.config)
        names: list[JsonValue] = [change.path for change in found]
        stuck = needing_restart(found)
        before = self._file.now
        if stuck and later:
            self._file.write(before.but(layer=layer, trial=_trial(before, version, restart=True)))
            return {"changed": [], "pending": [*stuck]}
        if stuck and restart:
            self._check_restart()
            self._file.write(before.but(layer=layer, trial=_trial(before, version, restart=True)))
            self._around.restart("settings")
            return {"changed": names, "restart": True}
        self._refuse_restart(stuck)
        mark = self._around.mark()
        trial = _trial(before, version) if found else before.trial
        self._file.write(before.but(layer=layer, trial=trial))
        try:
            self._apply(parts_of(found), loaded)
        except BaseException:
            self._file.hold(before)
            raise
        if not found:
            return {"changed": []}
        trial_s = self.config.commands.trial_s
        self._watch.begin(mark, trial_s)
        self._around.tell("settings_changed", "info", ", ".join(map(str, names)))
        return {"changed": names, "trial_s": trial_s, "persistent": self._file.persistent}

    def _check_restart(self) -> None:
        if not self._file.persistent:
            hint = "Set commands.state to a folder of this device, in its file."
            raise InputError("Nothing outlives a restart here, so nothing was changed.", hint=hint)
        self._around.check_restart()

    def _refuse_restart(self, stuck: tuple[str, ...]) -> None:
        if stuck:
            raise InputError(
                f"Nothing was changed: {', '.join(stuck)} would need a restart.", hint="Restart the agent to apply it."
            )

    def _apply(self, parts: tuple[str, ...], loaded: LoadedConfig) -> None:
        """Hand a configuration to the parts that take it on; what they took on is taken back where one fails."""
        before, done = self.loaded, []
        try:
            for part in parts:
                self._around.appliers[part](loaded)
                done.append(part)
        except BaseException:
            for part in reversed(done):
                self._around.appliers[part](before)
            raise
        self.loaded = loaded
        self._around.changed(loaded)

    def _take_back(self, why: str) -> None:
        overlay = self._file.now
        if overlay.trial is None:
            return
        log.warning("What was set is taken back: %s", why)
        # A disk that does not take it must not keep the device from doing well again.
        self._file.hold(taken_back(overlay, why, judged=True))
        restart = self._go_back(overlay.trial.before)
        self._around.tell("settings_rolled_back", "error", why)
        self.on_taken_back()
        if restart:
            self._around.restart(restart)

    def _go_back(self, before: Layer) -> str:
        """Put a layer in effect again, and say why it takes a restart, if it does."""
        try:
            loaded = self._source.load(before)
            found = changes(self.config, loaded.config)
            if needing_restart(found) or self._around.mark().failed:
                return "settings are taken back"
            self._apply(parts_of(found), loaded)
        except EdgeError as error:
            log.warning("%s %s", error.message, error.hint)
            return "settings could not be taken back"
        return ""


def _trial(now: Overlay, version: int, *, restart: bool = False) -> Trial:
    """Return the trial of a change; one that is made during a trial goes back with it."""
    running = now.trial
    if running is None:
        return Trial(before=now.layer, restart=restart, version=version)
    return Trial(before=running.before, restart=restart, version=max(version, running.version))


def _nobody() -> None:
    """Nobody wants to know."""
