"""What a device says of itself on each connection: birth, what is installed, online; and offline, when it ends.

Each carries the start (`boot_id`) and the connection (`session`) that it speaks of, so that the late news of an old
connection's death cannot be taken for the death of the present one.
"""

from __future__ import annotations

import platform
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Literal

from edgesdk_targets.messages import (
    Birth,
    BundleName,
    CameraName,
    DesiredReport,
    Encoded,
    Reported,
    State,
    UpMessage,
    encode,
    schemas,
    topic_of,
)
from edgesdk_targets.topics import Node


def utc(seconds: float) -> datetime:
    """Return seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc)


@dataclass(frozen=True, slots=True)
class Publication:
    """One message and where it goes.

    Attributes:
        expires_s: the broker forgets it after so long, if it could not pass it on; 0 never.
    """

    topic: str
    body: Encoded
    retain: bool = False
    expires_s: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the device is and what it runs.

    Attributes:
        hardware: any facts for people, as machine and processor.
        config_hash: tells two configurations apart without showing either.
        step: of its update, as `update_step` names it; empty where it takes none.
        desired: what became of what is wanted of it.
    """

    node: Node
    agent_version: str = ""
    agent_digest: str = ""
    target: str = ""
    variant: str = ""
    runtime: str = ""
    bundle: BundleName = field(default_factory=BundleName)
    previous_bundle: BundleName = field(default_factory=BundleName)
    cameras: tuple[CameraName, ...] = ()
    hardware: Mapping[str, str] = field(default_factory=lambda: {"machine": platform.machine()})
    capabilities: tuple[str, ...] = ()
    config_hash: str = ""
    step: str = ""
    desired: DesiredReport = field(default_factory=DesiredReport)


class Presence:
    """Build the retained messages of one device for one start of the agent.

    Args:
        identity: what to say; `change` replaces it.
        epoch: of the queue of reports.
        next_seq: returns the number that the next queued report will get.
        wall: seconds since 1970.
        clock_trusted: whether that can be believed now.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        epoch: str,
        next_seq: Callable[[], int],
        wall: Callable[[], float] = time.time,
        clock_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.boot_id = secrets.token_hex(8)
        self._identity = identity
        self._lock = threading.Lock()
        self._epoch = epoch
        self._next_seq = next_seq
        self._wall = wall
        self._clock_trusted = clock_trusted

    @property
    def node(self) -> Node:
        return self._identity.node

    def change(self, **changes: object) -> None:
        """Replace fields of the identity, for example `bundle=…` after an update."""
        with self._lock:
            self._identity = replace(self._identity, **changes)  # type: ignore[arg-type]

    def will(self, session: int) -> Publication:
        """Return what the broker shall say when this connection is lost."""
        return self._state(session, "offline", "connection lost")

    def opening(self, session: int) -> tuple[Publication, ...]:
        """Return what to say first on a new connection."""
        return self._birth(session), self._reported(), self._state(session, "online", "connected")

    def closing(self, session: int) -> Publication:
        """Return what to say last, before a clean end."""
        return self._state(session, "offline", "stopped")

    def _birth(self, session: int) -> Publication:
        who = self._identity
        return _retained(
            Birth(
                node=str(who.node),
                at=utc(self._wall()),
                epoch=self._epoch,
                seq=self._next_seq(),
                clock_trusted=self._clock_trusted(),
                boot_id=self.boot_id,
                session=session,
                agent_version=who.agent_version,
                agent_digest=who.agent_digest,
                target=who.target,
                variant=who.variant,
                runtime=who.runtime,
                hardware=dict(who.hardware),
                bundle=who.bundle,
                cameras=who.cameras,
                schemas=tuple(sorted(schemas())),
                capabilities=who.capabilities,
            )
        )

    def _reported(self) -> Publication:
        who = self._identity
        return _retained(
            Reported(
                node=str(who.node),
                at=utc(self._wall()),
                epoch=self._epoch,
                seq=self._next_seq(),
                clock_trusted=self._clock_trusted(),
                active=who.bundle,
                previous=who.previous_bundle,
                config_hash=who.config_hash,
                step=who.step,
                **who.desired.model_dump(),
            )
        )

    def _state(self, session: int, state: Literal["online", "offline"], reason: str) -> Publication:
        return _retained(
            State(
                node=str(self.node),
                at=utc(self._wall()),
                epoch=self._epoch,
                seq=self._next_seq(),
                clock_trusted=self._clock_trusted(),
                state=state,
                boot_id=self.boot_id,
                session=session,
                reason=reason,
            )
        )


def _retained(message: UpMessage) -> Publication:
    return Publication(str(topic_of(message)), encode(message), retain=True)
