"""How a start goes on from the last one: with what was set from afar, or without what did not do well.

- A change that was on trial when the process ended is taken back, whatever ended it.
- A change that waits for a restart is on trial from this start on; if this start does not come to its end, the next one
  takes it back.
- Settings that do not fit the file any more (it was edited, a bundle is gone) are left out, and told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.overlay import OverlayFile
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.desired.taken_back import without_settings
from edgesdk_targets.errors import EdgeError, InputError

log = logging.getLogger(__name__)

OVERLAY = "overlay.json"
COMMANDS = "commands.json"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a start begins with.

    Attributes:
        source: of the configuration; loaded: what is in effect.
        file: the overlay.
        news: what is to be told: the name of an event, and a sentence.
    """

    source: ConfigSource
    loaded: LoadedConfig
    file: OverlayFile
    news: tuple[tuple[str, str], ...] = field(default=())


def begin(source: ConfigSource) -> Beginning:
    """Read the configuration with what was set from afar.

    Raises:
        InputError: the configuration itself is wrong.
    """
    plain = source.load()
    commands = plain.config.commands
    folder = commands.state_folder() if commands.enabled else None
    file = OverlayFile(None if folder is None else folder / OVERLAY)
    news = [("overlay_damaged", file.damage)] if file.damage else []
    if taken_back := settle(file):
        news.append(("settings_rolled_back", taken_back))
    try:
        loaded = source.load(file.now.layer)
    except InputError as error:
        news.append(("settings_left_out", error.message))
        loaded = plain
    for _, told in news:
        log.warning("%s", told)
    return Beginning(source, loaded, file, tuple(news))


def settle(file: OverlayFile) -> str:
    """Take back what was on trial when the last process ended, and say so; or begin the trial that waited for a start."""
    overlay, trial = file.now, file.now.trial
    if trial is None:
        return ""
    if trial.restart and not trial.started:
        try:
            file.write(overlay.but(trial=trial.model_copy(update={"started": True})))
        except EdgeError as error:
            # A trial that cannot be written down is none: the next start would not know that this one failed.
            log.warning("%s %s", error.message, error.hint)
        else:
            return ""
    why = "The agent ended while settings were on trial; they are taken back."
    report = without_settings(overlay.report, why) if overlay.version else overlay.report
    file.hold(overlay.but(layer=trial.before, trial=None, report=report))
    return why
