"""A small real agent's worth of what commands touch, without cameras: settings over a real file, replies in a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.link.inbox import Inbound, Inbox
from edgesdk_agent.link.presence import Publication
from edgesdk_agent.steering.beginning import Beginning, begin
from edgesdk_agent.steering.health_mark import Mark
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.steering import Steered, Steering
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Desired, DesiredReport, Reply, decode

CONFIG = """\
device: {name: gate}
bundle: digits.edgebundle
cameras:
  - {name: door, source: 'synthetic:'}
  - {name: yard, source: 'synthetic:'}
mqtt: {url: mqtt://broker}
commands: {state: state, bundles: bundles, settable: [telemetry, mqtt.max_results_per_s, pipeline, cameras]}
"""
PATIENCE_S = 10.0
_WANTED_AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


def why(report: DesiredReport) -> dict[str, str]:
    """Return what was refused, and why."""
    return {one.what: one.why for one in report.refused}


@dataclass
class Bench:
    """What commands touch, and what came of them.

    Attributes:
        mark: how the device does; a test changes it.
        refuse_model: what loading another model raises.
        events: name and message of each; said: name, severity and data.
    """

    folder: Path
    text: str = CONFIG
    mark: Mark = field(default_factory=Mark)
    refuse_model: BaseException | None = None

    def __post_init__(self) -> None:
        (self.folder / "edgesdk.yaml").write_text(self.text)
        (self.folder / "bundles").mkdir(exist_ok=True)
        self.now = 0.0
        self.events: list[tuple[str, str]] = []
        self.said: list[dict[str, Any]] = []
        self.restarts: list[str] = []
        self.applied: list[tuple[str, AgentConfig]] = []
        self.reports: list[DesiredReport] = []
        self.paused: set[str] = set()
        self.beginning: Beginning = begin(ConfigSource(self.folder / "edgesdk.yaml", environment={}))
        self.inbox = Inbox()
        self.steering = Steering(
            self.beginning, self._steered(), self.inbox, epoch="e", next_seq=lambda: 1, logs=LogBook()
        )
        self.settings = self.steering.settings
        self.settings._watch._clock = lambda: self.now

    # --- what a pipeline would be

    def pause(self, camera: str | None = None) -> None:
        self._known(camera)
        self.paused.add(str(camera))

    def resume(self, camera: str | None = None) -> None:
        self._known(camera)
        self.paused.discard(str(camera))

    def _known(self, camera: str | None) -> None:
        if camera not in {"door", "yard"}:
            raise InputError(f"There is no camera {camera!r}.", hint="One of door, yard.")

    # --- what a test does

    def say(self, topic: str, payload: bytes, content_type: str = "application/json", **more: Any) -> None:
        """Let a message come, as the link does."""
        self.inbox.deliver(Inbound(topic, payload, content_type, **more))

    def want(self, version: int, **state: Any) -> DesiredReport:
        """Say a desired state, and return what is reported of it."""
        self.steering._shadow.offer(Desired(node="local.gate", at=_WANTED_AT, version=version, state=state))
        self.run()
        return self.reports[-1]

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """Do on this thread what the commands' thread does, until nothing waits."""
        runner = self.steering._runner
        for _ in range(1000):
            if runner._waiting.empty() and (until is None or until()):
                break
            if not runner._waiting.empty() and (due := runner._waiting.get_nowait()) is not None:
                runner._take(due)
            runner._tick and runner._tick()
        runner._tick and runner._tick()

    def replies(self) -> list[Reply]:
        """Return the answers that were said since the last call."""
        said: list[Publication] = self.inbox.take_said()
        messages = [decode(one.topic, one.body.payload, one.body.content_type) for one in said]
        return [one for one in messages if isinstance(one, Reply)]

    @property
    def config(self) -> AgentConfig:
        return self.settings.config

    def _steered(self) -> Steered:
        return Steered(
            pipeline=self,
            appliers={
                "model": self._model,
                **{part: partial(self._apply, part) for part in ("scenes", "frame_data", "reporting")},
            },
            mark=lambda: self.mark,
            event=self._event,
            restart=self.restarts.append,
            changed=lambda _loaded: None,
            bundle_differs=lambda _config: False,
            say_again=lambda: None,
            report=self.reports.append,
        )

    def _event(self, name: str, severity: str, message: str, *, data: dict[str, Any] | None = None) -> None:
        self.events.append((name, message))
        self.said.append({"name": name, "severity": severity, **(data or {})})

    def _model(self, loaded: LoadedConfig) -> None:
        if self.refuse_model is not None:
            raise self.refuse_model
        self._apply("model", loaded)

    def _apply(self, part: str, loaded: LoadedConfig) -> None:
        self.applied.append((part, loaded.config))
