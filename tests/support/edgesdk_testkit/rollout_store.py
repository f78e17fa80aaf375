"""A world of simulated devices whose words stand in a real store, as a collector would write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, insert, update

from edgesdk.fleet.rollout.model import Rollout
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.shelf import Shelf, Shelved
from edgesdk.fleet.service.rollouts.driver import Driver
from edgesdk.fleet.store import rollouts
from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.rollout_begin import begin
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import events, nodes, now, reported, samples
from edgesdk_targets.messages import Desired
from edgesdk_testkit.rollout_world import NEW, OLD, Way, World, fleet

VARIANT = {"target": "rpi5", "runtime": "onnx", "precision": "int8", "status": "measured"}
BUNDLE = Shelved(Path("m.edgebundle"), NEW, "m", "2.0.0", 2, 1, ("ab12",), (VARIANT,), {"f1": 0.93}, b"")


AGENT = Shelved(
    Path("m.edgeagent"), NEW, "edgesdk-agent", "0.3.0", 2, 1, ("ab12",), (), {}, b"", kind="agent",
    needs={"python": "3.11", "machine": "aarch64", "glibc": "2.31"},
)  # fmt: skip
HARDWARE = {"machine": "aarch64", "python": "3.11.9"}


class OneBundle(Shelf):
    """A shelf that holds the world's bundle, or whatever it is, which nobody fetches."""

    def __init__(self, folder: Path, holds: Shelved = BUNDLE) -> None:
        super().__init__(folder)
        self._holds = holds

    def bundles(self) -> list[Shelved]:
        return [self._holds]


@dataclass
class StoredWorld:
    """The world, its store, and a broker that keeps desired states.

    Attributes:
        driver: of the service as it runs now; another one after each kill.
        release: what is rolled out.
    """

    world: World
    engine: Engine
    driver: Driver
    release: Shelved = BUNDLE
    kept: dict[str, Desired] = field(default_factory=dict)
    _told: dict[str, Any] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        return round(self.world.now * 1000)

    def new_driver(self, folder: Path) -> Driver:
        """Return a driver as a service that has just begun has it."""
        return Driver(self.engine, OneBundle(folder, self.release), "https://fleet.example", clock=lambda: self.now_ms)

    def populate(self) -> None:
        with writing(self.engine) as connection:
            for number, name in enumerate(self.world.models, start=1):
                connection.execute(
                    insert(nodes).values(
                        id=number,
                        name=name,
                        target="rpi5",
                        bundle_digest=OLD,
                        agent_version="0.2.0",
                        hardware=HARDWARE,
                        created_ms=self.now_ms,
                        born_ms=self.now_ms,
                    )
                )
                connection.execute(insert(now).values(node=number, said="online", heard_ms=self.now_ms))
                self._numbers[name] = number

    def begin(self, policy: Policy, selection: Selection | None = None, **more: Any) -> str:
        with writing(self.engine) as connection:
            return begin(
                connection, self.release, selection or Selection(), policy, actor="test", now_ms=self.now_ms, **more
            )

    def write(self) -> None:
        """Write what devices say by now."""
        at = self.now_ms
        with writing(self.engine) as connection:
            for name, model in self.world.models.items():
                row = self._numbers[name]
                connection.execute(update(nodes).where(nodes.c.id == row).values(**self._runs(model.executing)))
                connection.execute(delete(reported).where(reported.c.node == row))
                connection.execute(insert(reported).values(node=row, version=model.answered, at_ms=at, received_ms=at))
                if model.word is not None and self._told.get(name) != model.word:
                    self._told[name] = model.word
                    self._event(connection, row, model.word, at)
                figures = self.world.after(name, self.world.now - 10, Policy(reports=1))
                connection.execute(
                    insert(samples).values(node=row, at_ms=at, fps=round((figures.fps or 0) * 100), captured=at // 100)
                )

    def _runs(self, executing: str) -> dict[str, str]:
        if self.release.kind == "bundle":
            return {"bundle_digest": executing}
        # The agent before was installed otherwise.
        return {"agent_digest": executing if executing == NEW else ""}

    def _event(self, connection: Any, row: int, word: Any, at: int) -> None:
        refused = word.step == "refused"
        # What a device promoted is said in the message alone, as by an agent.
        step = {"id": NEW, "step": word.step, "why": "" if word.step == "staged" else word.why}
        data = {"id": NEW, "do": "install"} if refused else step
        if word.shadow:
            data["shadow"] = {"verdict": word.shadow}
        connection.execute(
            insert(events).values(
                stream=row, seq=at, node=row, at_ms=at, received_ms=at, message=word.why,
                name="update_refused" if refused else "update_step", data=data,
            )
        )  # fmt: skip

    def look(self, before_telling: Callable[[], None] = lambda: None) -> None:
        """Let the driver look, and the broker and the devices have what it says."""
        updates, answered = self.driver.look(dict(self.kept))
        before_telling()
        for node, wanted in updates.items():
            known = self.kept.get(node)
            if known is not None and known.state.get("update") == wanted:
                continue
            version = 1 + max(known.version if known else 0, answered.get(node, 0))
            self.kept[node] = Desired(node=node, at="2026-01-01T00:00:00Z", version=version, state={"update": wanted})
            wish = "leave" if "leave" in wanted else "shadow" if "shadow" in wanted else "install"
            self.world.retained[node] = (wish, version)

    def tick(self, seconds: float) -> None:
        self.world.tick(seconds)
        self.write()

    def run(self, key: str, *, until: Callable[[Rollout], bool] = lambda one: one.status.ended) -> Rollout:
        """Let time go by and the driver look, until something holds."""
        for _ in range(300):
            self.look()
            self.tick(20)
            if until(found := self.rollout(key)):
                return found
        raise AssertionError(found)

    def rollout(self, key: str) -> Rollout:
        with reading(self.engine) as connection:
            return rollouts.load(connection, key).rollout

    def outcome(self, key: str) -> tuple[Any, ...]:
        """Return how everything stands, without the times."""
        found = self.rollout(key)
        steps = tuple(sorted((one.node, one.wave, one.step, one.failure) for one in found.devices.values()))
        runs = tuple(sorted((name, model.executing) for name, model in self.world.models.items()))
        return found.status, found.wave, steps, runs


@contextmanager
def stored_world(
    ways: Iterable[Way], where: str | Path, folder: Path, *, at: float | None = None, release: Shelved = BUNDLE
) -> Iterator[StoredWorld]:
    """Yield a world with a store of its own, in which every device has reported for a while.

    Args:
        at: when that begins; some time long ago unless given.
        release: what is rolled out.
    """
    engine = open_store(where)
    try:
        stored = StoredWorld(fleet(ways), engine, None, release)  # type: ignore[arg-type]
        stored.world.now = stored.world.now if at is None else at
        stored.driver = stored.new_driver(folder)
        stored.populate()
        for _ in range(10):
            stored.tick(20)
        yield stored
    finally:
        engine.dispose()
