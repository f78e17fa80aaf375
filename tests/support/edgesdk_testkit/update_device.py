"""A device that runs release 2, and its agent's part in updates, which looks after no camera; and what it told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.config.update import UpdateSection
from edgesdk_agent.update.agent_update import AgentUpdate
from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.result_tally import ResultTally
from edgesdk_agent.update.trial_watch import RunningAgent
from edgesdk_agent.update.wish import Answer, Wish, WishFiles
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit.update_life import Made, make

PATIENCE_S = 30.0
BOX, STRANGER = PrivateKey.new("box"), PrivateKey.new("stranger")


@dataclass
class Device:
    """A device that runs release 2, its agent, and what it told."""

    folder: Path
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    running: list[AgentUpdate] = field(default_factory=list)
    clock_trusted: bool = True
    trusted: TrustedKeys = field(default_factory=lambda: TrustedKeys.of(BOX.public))

    @property
    def root(self) -> Path:
        return self.folder / "update"

    def agent(
        self, *, started: bool = True, standing: Callable[[str], None] = lambda _step: None, **section: Any
    ) -> AgentUpdate:
        """Start the agent's part, which looks after no camera; one that is not started is turned by the test."""
        keys = self.folder / "trusted.keys"
        keys.write_text(self.trusted.to_text())
        update = AgentUpdate(
            UpdateSection(keys=(keys,), folder=self.root, **section),
            Launched(self.root, "a"),
            RunningAgent(_nothing, _nothing, frozenset, lambda: "sha256:none", None, ResultTally()),
            target="", variant="", budget_ms=1000.0,
            tell=lambda name, _severity, message, **more: self.told.append((name, message, more.get("data", {}))),
            clock_trusted=lambda: self.clock_trusted, standing=standing,
        )  # fmt: skip
        self.running.append(update)
        if started:
            update.start()
        return update

    def made(self, number: int, key: PrivateKey = BOX) -> Made:
        made = make(self.folder, number)
        with open_bundle(made.path) as bundle:
            sign_bundle(bundle, key, made.path, release=number)
        return made

    def asked(self, wish: Wish, until: Callable[[Answer], bool]) -> Answer:
        """Ask, and wait for an answer of this kind."""
        files = WishFiles(self.root)
        files.ask(wish)
        return wait_for(lambda: (found := files.answered()) and found.token == wish.token and until(found) and found)


def _nothing() -> Any:
    raise AssertionError("nothing is on trial")


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return found
