"""A real agent as a process, steered over a real broker, and somebody who listens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from edgesdk.fleet.broker import Broker
from edgesdk.fleet.command_sender import Outcome, new_command, send_command, send_desired
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.messages import Desired, Reported
from edgesdk_targets.topics import Node
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import Heard, MqttListener

NODE = Node("gate")
CONFIG = """\
device: {{name: gate}}
bundle: bundles/one.edgebundle
target: '{target}'
cameras:
{cameras}
mqtt: {{url: '{url}', will_delay_s: 0}}
telemetry: {{interval_s: 1}}
pipeline: {{threads: 1}}
commands: {{state: state, bundles: bundles, trial_s: 1}}
"""
LIVE = "  - {name: belt, source: 'conveyor:?fps=20'}\n  - {name: yard, source: 'synthetic:?fps=5'}"


@dataclass
class Site:
    """A broker, somebody who listens, and a running agent with its folder."""

    folder: Path
    broker: Broker
    listener: MqttListener
    agent: AgentProcess

    def ask(self, verb: str, *, command_id: str = "", wait_s: float = 30.0, **arguments: Any) -> Outcome:
        """Send a command as `edgesdk fleet cmd --wait` does."""
        command = new_command(
            NODE, verb, arguments, command_id=command_id or f"{verb}-{random.getrandbits(40):x}", within_s=wait_s
        )
        return asyncio.run(send_command(self.broker.address, command, wait_s=wait_s))

    def done(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Send a command that is to be done, and return its answer."""
        outcome = self.ask(verb, **arguments)
        assert outcome.reply is not None, f"no answer to {verb}"
        assert outcome.reply.ok, outcome.reply.message
        return dict(outcome.reply.data)

    def want(self, version: int, **state: Any) -> Reported:
        """Retain a desired state, and return what the device says of it."""
        document = Desired(node=str(NODE), at=datetime.now(timezone.utc), version=version, state=state)
        view = asyncio.run(send_desired(self.broker.address, document, wait_s=30.0))
        assert view.reported is not None
        assert view.reported.version == version
        return view.reported

    def heard(self, holds: Callable[[list[Heard]], bool]) -> list[Heard]:
        return self.listener.wait_until(holds, 30.0)

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event, and return it."""
        found = self.heard(lambda all_: any(h.body.get("name") == name for h in all_ if h.channel == "up/event"))
        return next(h.body for h in found if h.channel == "up/event" and h.body.get("name") == name)

    def boots(self) -> int:
        """Return how often the agent has started so far."""
        return len({h.body["boot_id"] for h in self.listener.heard("up/birth")})

    def frames(self, camera: str) -> int:
        return sum(h.body["camera"] == camera for h in self.listener.heard("up/result"))


@contextmanager
def site(
    folder: Path,
    bundle: Path,
    cameras: str = LIVE,
    target: str = "",
    env: dict[str, str] | None = None,
    **changes: dict[str, Any],
) -> Iterator[Site]:
    """Start a broker, a listener and an agent in a folder.

    Args:
        bundle: copied to where the agent finds it, as version 1.0.0.
        cameras: as they stand in the configuration.
        changes: of whole sections: fields by name, laid over those of `CONFIG`.
    """
    (folder / "bundles").mkdir()
    versioned(bundle, folder / "bundles/one.edgebundle", "1.0.0")
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config = yaml.safe_load(CONFIG.format(cameras=cameras, url=broker.address, target=target))
        for name, fields in changes.items():
            config[name] = {**config.get(name, {}), **fields}
        (folder / "edgesdk.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        with AgentProcess("--config", folder / "edgesdk.yaml", env=env) as agent:
            listener.wait_for("up/birth", 1)
            yield Site(folder, broker, listener, agent)


def versioned(source: Path, path: Path, version: str, **changes: Any) -> Path:
    """Write the same bundle with another version, so that it is another bundle with the same answers."""
    with open_bundle(source) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        write_bundle(path, bundle.manifest.model_copy(update={"version": version, **changes}), files)
    return path
