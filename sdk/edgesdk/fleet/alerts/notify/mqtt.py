"""A notice as MQTT messages, one a device: `edgesdk-alerts/{node}/{rule}`, retained.

Retained, so that whoever comes later (a lamp in the control room, a home automation) knows how things stand; what ended
stays for a week as `resolved`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgesdk.fleet.alerts.notice import Notice
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk_targets.messages.envelope import rfc3339

PREFIX = "edgesdk-alerts"
_RESOLVED_S = 7 * 86_400
# What every message of one notice says; the rest is each device's own.
_SHARED = ("schema", "id", "at", "state", "rule", "kind", "severity", "limit", "trial")


class Say(Protocol):
    """Publishes, as `Subscriber.publish` does."""

    def __call__(
        self, topic: str, payload: bytes, *, content_type: str, expires_s: int = 0, retain: bool = False
    ) -> None: ...


@dataclass(frozen=True)
class Mqtt:
    """Tells a broker.

    Attributes:
        say: publishes with QoS 1; connected: whether there is a connection.
    """

    name: str
    say: Say
    connected: Callable[[], bool]

    def send(self, notice: Notice) -> None:
        """Say it of each device. Raises NotDelivered."""
        if not self.connected():
            raise NotDelivered("There is no connection to the broker.")
        whole = notice.to_json()
        for told in notice.devices:
            document = {key: whole[key] for key in _SHARED}
            document |= {"node": told.node, "site": told.site, "since": rfc3339(told.since), "value": told.value}
            self.say(
                f"{PREFIX}/{told.node}/{notice.rule.name}",
                json.dumps(document, ensure_ascii=False).encode(),
                content_type="application/json",
                expires_s=_RESOLVED_S if notice.state == "resolved" else 0,
                retain=True,
            )
