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
from edgesdk_agent.desired.failed_trial import taken_back
from edgesdk_agent.steering.left_out import load_what_fits
from edgesdk_agent.steering.restart_budget import RestartBudget
from edgesdk_agent.steering.run_before import RunBefore, take_run_before
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
        budget: of restarts from afar.
        runs: that this process made before.
    """

    source: ConfigSource
    loaded: LoadedConfig
    file: OverlayFile
    news: tuple[tuple[str, str], ...] = field(default=())
    budget: RestartBudget = field(default_factory=RestartBudget)
    runs: int = 0


def begin(source: ConfigSource, before: RunBefore | None = None) -> Beginning:
    """Read the configuration with what was set from afar.

    Args:
        before: what the last run of this process left; looked for unless given.

    Raises:
        InputError: the configuration itself is wrong.
    """
    before = before or take_run_before()
    commands = source.load().config.commands
    folder = commands.state_folder() if commands.enabled else None
    file = OverlayFile(None if folder is None else folder / OVERLAY)
    if not file.persistent:
        file.hold(file.now.but(failed=before.failed))
    news = [("overlay_damaged", file.damage)] if file.damage else []
    if rolled_back := settle(file) or _unfit_on_trial(source, file):
        news.append(("settings_rolled_back", rolled_back))
    loaded, overlay, left_out = load_what_fits(source, file.now)
    if left_out:
        file.leave_out(overlay)
        news.append(("settings_left_out", left_out))
    for _, told in news:
        log.warning("%s", told)
    return Beginning(source, loaded, file, tuple(news), before.budget, before.runs)


def settle(file: OverlayFile) -> str:
    """Take back what was on trial when the last process ended, and say so; or begin the trial that waited for a start."""
    overlay, trial = file.now, file.now.trial
    if trial is None:
        return ""
    if trial.waits:
        try:
            file.write(overlay.but(trial=trial.model_copy(update={"started": True})))
        except EdgeError as error:
            # A trial that cannot be written down is none: the next start would not know that this one failed.
            log.warning("%s %s", error.message, error.hint)
        else:
            return ""
    why = "The agent ended while settings were on trial; they are taken back."
    file.hold(taken_back(overlay, why, judged=False))
    return why


def take_back_failed(file: OverlayFile, why: str) -> bool:
    """Take back what was on trial in a run that failed; False where nothing was."""
    trial = file.now.trial
    if trial is None or trial.waits:
        return False
    file.hold(taken_back(file.now, f"The agent failed: {why}", judged=True))
    return True


def _unfit_on_trial(source: ConfigSource, file: OverlayFile) -> str:
    """Take back a trial that begins now with settings that cannot even be read, and say so."""
    if file.now.trial is None:
        return ""
    try:
        source.load(file.now.layer)
    except InputError as error:
        file.hold(taken_back(file.now, error.message, judged=True))
        return error.message
    return ""
