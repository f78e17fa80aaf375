"""Everything by which a running agent is steered, wired: commands, the desired state, SIGHUP.

    broker → link → inbox → border → runner (a thread of its own) → verbs → settings, cameras, model, logs
                                   → shadow ↗

The pipeline knows nothing of it, and waits for none of it, but for the moment between two frames in which another model
takes over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from edgesdk_agent.commands.border import Border
from edgesdk_agent.commands.controls import Controls, Evidence
from edgesdk_agent.commands.memory import CommandMemory
from edgesdk_agent.commands.refusals import Refusals
from edgesdk_agent.commands.replies import Replies
from edgesdk_agent.commands.runner import CommandRunner
from edgesdk_agent.commands.table import VERBS
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.desired.shadow import Shadow
from edgesdk_agent.link.inbox import Inbox
from edgesdk_agent.steering.beginning import COMMANDS, Beginning
from edgesdk_agent.steering.health_mark import Mark
from edgesdk_agent.steering.live_settings import LiveSettings
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.paused_cameras import PausedCameras, Pauses
from edgesdk_agent.steering.surroundings import Applier, Surroundings, Tell
from edgesdk_targets.errors import DeviceError, EdgeError
from edgesdk_targets.messages import DesiredReport
from edgesdk_targets.topics import Channel

if TYPE_CHECKING:
    from edgesdk_agent.update.asking import Ask

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Steered:
    """What is steered, as calls into the agent.

    Attributes:
        appliers: the parts that take changes on while the agent runs, by their name in `config.change`.
        mark: how the device does now.
        event: reports that something happened.
        restart: starts the agent again, soon; why.
        changed: is called with the configuration after each change.
        bundle_differs: whether the bundle's file is another one by now.
        say_again: says birth, state and what is installed once more.
        report: says what became of the desired state.
        snapshot, evidence: see `Controls`; None where no picture may leave this device. ask_update: see there as well.
    """

    pipeline: Pauses
    appliers: dict[str, Applier]
    mark: Callable[[], Mark]
    event: Tell
    restart: Callable[[str], None]
    changed: Callable[[LoadedConfig], None]
    bundle_differs: Callable[[AgentConfig], bool]
    say_again: Callable[[], None]
    report: Callable[[DesiredReport], None]
    snapshot: Callable[[str, float], dict[str, JsonValue]] | None = None
    evidence: Evidence | None = None
    ask_update: Ask | None = None


class Steering:
    """What steers the agent, from its start to its end.

    Args:
        beginning: the configuration, and what was set from afar.
        steered: the agent.
        inbox: of the link; listened to before the link starts.
        epoch, next_seq: of the queue of reports.
        logs: opened by its owner.
    """

    def __init__(
        self,
        beginning: Beginning,
        steered: Steered,
        inbox: Inbox,
        *,
        epoch: str,
        next_seq: Callable[[], int],
        logs: LogBook,
    ) -> None:
        self._news = beginning.news
        self._steered = steered
        self._budget = beginning.budget
        config = beginning.loaded.config
        section = config.commands
        folder = section.state_folder() if section.enabled else None
        around = Surroundings(
            appliers={**steered.appliers, "commands": _nothing},
            mark=steered.mark,
            tell=steered.event,
            restart=steered.restart,
            changed=steered.changed,
            bundle_differs=steered.bundle_differs,
            check_restart=self._check_restart,
        )
        self.settings = LiveSettings(beginning.source, beginning.loaded, beginning.file, around)
        cameras = PausedCameras(steered.pipeline, beginning.file)
        self._shadow = Shadow(self.settings, cameras, logs, beginning.file, steered.report, steered.ask_update)
        controls = Controls(
            self.settings, cameras, logs, steered.say_again, self._restart, steered.snapshot, steered.evidence,
            steered.ask_update,
        )  # fmt: skip
        self._refusals = Refusals(steered.event)
        self._runner = CommandRunner(
            VERBS,
            controls,
            CommandMemory(None if folder is None else folder / COMMANDS, section.remembered),
            Replies(config.device.node, epoch=epoch, next_seq=next_seq, say=inbox.say),
            self._refusals.note,
            room=section.queue,
            tick=self._tick,
        )
        self._border = Border(self._runner.offer, self._shadow.offer, self._refusals.note)
        if section.enabled:
            inbox.listen(Channel.COMMAND, self._border.take)
            inbox.listen(Channel.DESIRED, self._border.take)

    def resume(self) -> None:
        """Go on from where the last start ended, before the first frame."""
        for name, message in self._news:
            self._steered.event(name, "warning", message)
        self._shadow.resume()

    def start(self) -> None:
        """Begin to take commands; those that came before have waited."""
        self._runner.start()

    def request_stop(self) -> None:
        """Take no more commands, and return at once."""
        self._runner.request_stop()

    def stop(self) -> None:
        """Take no more commands, and wait for the one that runs, though not for ever."""
        self._runner.stop()

    def reload(self) -> None:
        """Read the configuration again, soon; what comes of it is logged and told."""
        self._runner.soon(self._reload)

    def reload_now(self, within_s: float = 300.0) -> None:
        """Read the configuration again, and return once it is in effect; not for the commands' own thread.

        Args:
            within_s: how long a model may take to load; then it is given up, and may still come.

        Raises:
            EdgeError: as `LiveSettings.reload`; or DeviceError: it is not done in time.
        """
        done: Future[object] = Future()

        def reload() -> None:
            try:
                done.set_result(self.settings.reload())
            except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
                done.set_exception(error)

        if not self._runner.soon(reload):
            raise DeviceError("There is no room for another job.", hint="It is tried otherwise.")
        try:
            done.result(within_s)
        except FutureTimeout as error:
            raise DeviceError(f"The configuration is not in effect after {within_s:g} s.") from error

    def counts(self) -> dict[str, int]:
        """Return how many commands and desired states came, and what became of them."""
        desired = {f"desired_{name}": count for name, count in self._shadow.counts().items()}
        return {**self._border.counts(), **self._runner.counts(), **desired}

    def _restart(self, why: str) -> None:
        self._check_restart()
        self._steered.restart(why)

    def _check_restart(self) -> None:
        """Refuse a restart that somebody asks for, where there were too many of them."""
        if wait_s := self._budget.wait_s(time.monotonic()):
            raise DeviceError(
                f"The agent was started again {len(self._budget.at)} times within the hour.",
                hint=f"It can be again in {wait_s:.0f} s.",
            )

    def _tick(self) -> None:
        self._shadow.work()
        self.settings.tick()
        self._refusals.tell_due()

    def _reload(self) -> None:
        try:
            changed = self.settings.reload()["changed"]
        except EdgeError as error:
            log.warning("The configuration is not reloaded. %s %s", error.message, error.hint)
        else:
            log.info("The configuration is reloaded; changed: %s", changed or "nothing")


def _nothing(_loaded: LoadedConfig) -> None:
    """The limits of commands are read where they are used."""
