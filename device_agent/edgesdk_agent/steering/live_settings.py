"""The configuration while it is in use: changed whole, on trial where it was changed from afar, or not at all.

    check → write down, with what was before → hand to the parts that take it on → watch → keep, or take back

What fails before the watch is over takes everything back: the file of the overlay holds what was before until the trial
has ended well, so that a crash, a cut of the power or a restart in between takes it back too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from edgesdk_agent.config.change import changes, needing_restart, parts_of
from edgesdk_agent.config.field_path import field_path
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.origin import leaves
from edgesdk_agent.config.overlay import Layer, OverlayFile, Trial, checked_values
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.steering.health_mark import Mark, worse
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.field_problems import dotted

log = logging.getLogger(__name__)

Severity = Literal["info", "warning", "error"]
Applier = Callable[[LoadedConfig], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What settings need of the running agent.

    Attributes:
        appliers: the parts that take changes on while the agent runs, by their name in `config.change`.
        mark: how the device does now.
        tell: reports an event: name, severity, message.
        restart: starts the agent again, soon; why.
        changed: is called after a change, with what is in effect now.
        bundle_differs: whether the bundle's file is another one by now.
    """

    appliers: Mapping[str, Applier]
    mark: Callable[[], Mark]
    tell: Callable[[str, Severity, str], None]
    restart: Callable[[str], None]
    changed: Callable[[LoadedConfig], None]
    bundle_differs: Callable[[AgentConfig], bool]


@dataclass(frozen=True, slots=True)
class _Watch:
    """A trial under way."""

    until: float
    before: Mark


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
        self._clock = clock
        self._watch: _Watch | None = None
        self.on_taken_back: Callable[[str], None] = lambda _why: None
        if file.now.trial is not None:
            # This start is the trial: before it nothing is known, and everything is to be shown.
            self._watch = _Watch(clock() + self.config.commands.trial_s, Mark())

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
        flat = _flat(values)
        kept = {path: value for path, value in layer.set.items() if not any(_overlap(path, new) for new in flat)}
        given = {path: value for path, value in flat.items() if value is not None}
        return self._become(layer.model_copy(update={"set": {**kept, **given}}), tuple(flat), restart=restart)

    def desire(self, values: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Take on the desired state's settings, and return what of them waits for a restart.

        Raises:
            EdgeError: as `set`; nothing was changed.
        """
        layer = self._file.now.layer
        flat = {path: value for path, value in _flat(values).items() if value is not None}
        # The newer word holds: what a command set before gives way to what is wanted now.
        kept = {path: value for path, value in layer.set.items() if not any(_overlap(path, new) for new in flat)}
        wanted = layer.model_copy(update={"desired": flat, "set": kept})
        told = self._become(wanted, tuple(flat), later=True)
        pending = told.get("pending", [])
        return tuple(map(str, pending)) if isinstance(pending, list) else ()

    def use_bundle(self, name: str) -> dict[str, JsonValue]:
        """Let a bundle of the folder of bundles take over; an empty name means the configuration's own.

        Raises:
            EdgeError: it is not there, or not proven; the old one goes on.
        """
        layer = self._file.now.layer.model_copy(update={"bundle": name})
        try:
            return self._become(layer, ("bundle",) if name else ())
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
        watch = self._watch
        if watch is None:
            return
        over = self._clock() >= watch.until
        why = worse(watch.before, self._around.mark(), over=over)
        if why:
            self._take_back(why)
        elif over:
            self._watch = None
            trial = self._file.now.trial
            if trial is not None and (trial.started or not trial.restart):
                # One that waits for a restart is yet to come.
                self._file.hold(self._file.now.but(trial=None))
            self._around.tell("settings_kept", "info", "The trial is over, and the device does as well as before.")

    # --- inside

    def _become(
        self, layer: Layer, asked: tuple[str, ...], *, restart: bool = False, later: bool = False
    ) -> dict[str, JsonValue]:
        checked_values({path: value for path, (value, _) in layer.values().items()})
        loaded = self._source.load(layer)
        self._check_allowed(asked, loaded)
        found = changes(self.config, loaded.config)
        names: list[JsonValue] = [change.path for change in found]
        stuck = needing_restart(found)
        before = self._file.now
        if stuck and later:
            self._file.write(before.but(layer=layer, trial=_trial(before.trial, before.layer, restart=True)))
            return {"changed": [], "pending": [*stuck]}
        if stuck and restart:
            self._file.write(before.but(layer=layer, trial=_trial(before.trial, before.layer, restart=True)))
            self._around.restart("settings")
            return {"changed": names, "restart": True}
        self._refuse_restart(stuck)
        mark = self._around.mark()
        trial = _trial(before.trial, before.layer) if found else before.trial
        self._file.write(before.but(layer=layer, trial=trial))
        try:
            self._apply(parts_of(found), loaded)
        except BaseException:
            self._file.hold(before)
            raise
        if not found:
            return {"changed": []}
        trial_s = self.config.commands.trial_s
        self._watch = _Watch(self._clock() + trial_s, mark if self._watch is None else self._watch.before)
        self._around.tell("settings_changed", "info", ", ".join(map(str, names)))
        return {"changed": names, "trial_s": trial_s, "persistent": self._file.persistent}

    def _check_allowed(self, asked: tuple[str, ...], loaded: LoadedConfig) -> None:
        for path in asked:
            # A bundle has a door of its own, which takes names and no paths.
            if path != "bundle" and not self.config.commands.may_set(path):
                allowed = ", ".join(self.config.commands.settable)
                raise InputError(f"{path} may not be set from afar.", hint=f"commands.settable allows {allowed}.")
            setting = loaded.settings.get(field_path(path))
            if setting is not None and setting.origin.startswith(("flag ", "environment ")):
                raise InputError(f"{path} is fixed by {setting.origin}.", hint="Change it there.")

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
        overlay, self._watch = self._file.now, None
        if overlay.trial is None:
            return
        log.warning("What was set is taken back: %s", why)
        # A disk that does not take it must not keep the device from doing well again.
        self._file.hold(overlay.but(layer=overlay.trial.before, trial=None))
        restart = self._go_back(overlay.trial.before)
        self._around.tell("settings_rolled_back", "error", why)
        self.on_taken_back(why)
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


def _trial(running: Trial | None, before: Layer, *, restart: bool = False) -> Trial:
    """Return the trial of a change; one that is made during a trial goes back with it."""
    return Trial(before=before if running is None else running.before, restart=restart)


def _flat(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a value for each field, by its path as it is written once and for all."""
    checked_values(values)
    flat: dict[str, JsonValue] = {}
    for text, value in values.items():
        path = field_path(text)
        if value is None:
            flat[dotted(path)] = None
        for rest, leaf in leaves(value):
            flat[dotted((*path, *rest))] = leaf  # type: ignore[assignment]  # a leaf of JSON is JSON
    return flat


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))
