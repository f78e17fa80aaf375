"""Devices that are updated as a roll-out wants, each in its own way: what the engine is tried on, without a network or a clock.

A `World` answers the engine's wishes as real devices do: it hears them late, takes its time, says its steps, and reports
figures of what it runs. What each device will do is decided before, so that a plain model can say how it must end.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from edgesdk.fleet.rollout.engine import Action, advance
from edgesdk.fleet.rollout.gate import allowed, controls_of, judged_now
from edgesdk.fleet.rollout.health import Compared, Figures
from edgesdk.fleet.rollout.model import Rollout, Status, wish_of
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.seen import Order, Report, Seen, Verb, Word
from edgesdk.fleet.rollout.waves import assigned, wave_sizes

NEW, OLD = "sha256:" + "1" * 64, "sha256:" + "0" * 64
LABELS = ("person", "car", "")
_REPORT_S = 10.0


class Way(str, Enum):
    """What becomes of the bundle on a device."""

    GOOD = "good"
    SLOW = "slow, and in time"
    FAILS = "rolled back by itself"
    REJECTS = "refuses"
    SILENT = "never says anything"
    FLAPS = "confirms, and runs the old one soon after"
    WORSE = "confirms, and does worse soon after"

    @property
    def is_bad(self) -> bool:
        return self not in {Way.GOOD, Way.SLOW}


@dataclass
class Model:
    """One device.

    Attributes:
        way: of this bundle; takes_s: from the wish to its end.
        offline: hears nothing while it is set.
        degrades_s: how long after the confirmation a device of `WORSE` begins to do worse.
        verdict: of its shadow run, where it is asked for one.
    """

    node: str
    way: Way = Way.GOOD
    takes_s: float = 60.0
    degrades_s: float = 30.0
    verdict: str = "promote"
    offline: bool = False
    fps: float = 20.0
    executing: str = OLD
    word: Word | None = None
    answered: int = 0
    wanted: tuple[str, int] = ("", 0)
    heard_at: float = 0.0
    confirmed_at: float | None = None
    history: list[str] = field(default_factory=lambda: [OLD])

    def hear(self, wish: str, version: int, now: float) -> None:
        if self.offline or version <= self.answered:
            return
        self.answered, self.heard_at = version, now
        self.wanted = (wish, version)
        if wish == "leave" and self.way is not Way.SILENT:
            if self.word is not None and self.word.step in {"downloading", "staged", "trial"}:
                self.say("idle", now, "aborted")
            self.run(OLD)
            self.confirmed_at = None

    def live(self, now: float) -> None:
        """Be so much further."""
        if self.wanted[0] == "shadow" and self.way is not Way.SILENT and not self.offline:
            self._run_beside(now)
        if self.wanted[0] != "install" or self.way is Way.SILENT or self.offline:
            return
        if self.confirmed_at is None and self.word is None:
            if self.way is Way.REJECTS:
                self.say("refused", now, "downgrade")
                return
            self.say("downloading", now)
        gone = now - self.heard_at
        if self.word is not None and self.word.step in {"downloading", "staged"} and gone >= self.takes_s / 2:
            self.say("trial", now)
            self.run(NEW)
        elif self.word is not None and self.word.step == "trial" and gone >= self.takes_s:
            if self.way is Way.FAILS:
                self.run(OLD)
                self.say("rolled back", now, "not confirmed in 2 starts")
            else:
                self.say("confirmed", now)
                self.confirmed_at = now
        elif self.way is Way.FLAPS and self.confirmed_at is not None and now - self.confirmed_at >= self.degrades_s:
            self.run(OLD)

    def _run_beside(self, now: float) -> None:
        if self.word is None:
            self.say("staged", now)
        elif self.word.step == "staged" and not self.word.shadow and now - self.heard_at >= self.takes_s:
            if self.verdict == "promote":
                self.word = Word("staged", now, "the shadow run promotes it", "promote")
            else:
                self.word = Word("idle", now, "its answers differ", self.verdict)

    def say(self, step: str, now: float, why: str = "") -> None:
        self.word = Word(step, now, why)

    def run(self, digest: str) -> None:
        if digest != self.executing:
            self.executing = digest
            self.history.append(digest)

    def report(self) -> Report:
        return Report(self.node, self.executing, self.word, self.answered)


@dataclass
class World:
    """A fleet, a broker that forgets nothing, and the time.

    Attributes:
        noise: of figures, as a share; scene: of everybody alike, at a time.
    """

    models: dict[str, Model]
    rng: random.Random
    noise: float = 0.03
    scene: Callable[[float], float] = lambda _now: 1.0
    now: float = 1_700_000_000.0
    retained: dict[str, tuple[str, int]] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def begun(self, policy: Policy, key: str = "r1") -> Rollout:
        """Return a roll-out to everybody."""
        return begun(self.models, policy, self.now, key)

    def reconcile(self, rollout: Rollout) -> None:
        """Do what the driver does: let the broker have what is wanted of each device."""
        for name, device in rollout.devices.items():
            wish = wish_of(device)
            if wish and name in self.models and self.retained.get(name, ("", 0))[0] != wish:
                self.retained[name] = (wish, self.retained.get(name, ("", 0))[1] + 1)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        for name, model in self.models.items():
            if name in self.retained:
                model.hear(*self.retained[name], self.now)
            model.live(self.now)

    def seen(self, rollout: Rollout, *orders: Verb, why: str = "") -> Seen:
        policy = rollout.policy
        health = {
            one.node: Compared(
                self.before(one.node, one.told_at or 0), self.after(one.node, one.confirmed_at or 0, policy)
            )
            for one in judged_now(rollout)
            if one.node in self.models
        }
        controls = [
            Compared(self.before(one.node, rollout.wave_at), self.after(one.node, rollout.wave_at, policy))
            for one in controls_of(rollout)
            if one.node in self.models
        ]
        reports = {name: one.report() for name, one in self.models.items() if name not in self.removed}
        return Seen(reports, health, controls, None, dict(self.retained), [Order(verb, why) for verb in orders])

    def turn(self, rollout: Rollout, *orders: Verb, why: str = "") -> Rollout:
        """Let the engine look once, and the broker have what follows."""
        after, actions = advance(rollout, self.seen(rollout, *orders, why=why), self.now)
        self.actions += actions
        self.reconcile(after)
        return after

    def run(
        self, rollout: Rollout, *, until: Callable[[Rollout], bool], step_s: float = 20.0, most: int = 5000
    ) -> Rollout:
        """Let time go by until something holds."""
        for _ in range(most):
            rollout = self.turn(rollout)
            if until(rollout):
                return rollout
            self.tick(step_s)
        raise AssertionError(f"it never came: {rollout.status}, wave {rollout.wave}, {rollout.why}")

    def before(self, node: str, at: float) -> Figures:
        return self.figures(self.models[node], at - _REPORT_S, 60)

    def after(self, node: str, since: float, policy: Policy) -> Figures:
        """Return what the newest samples say of a device, by its way."""
        model = self.models[node]
        newest = min(int((self.now - since) / _REPORT_S), 2 * policy.reports)
        found = self.figures(model, self.now, newest)
        if model.way is Way.WORSE and model.confirmed_at is not None and model.executing == NEW:
            bad = int((self.now - model.confirmed_at - model.degrades_s) / _REPORT_S)
            return replace(found, fps=model.fps * 0.3) if bad > newest / 2 else found
        return found

    def figures(self, model: Model, at: float, samples: int) -> Figures:
        """Return the medians of so many samples of a device that is well."""
        share = self.scene(at)
        # A median of n varies by 1.25 / sqrt(n) of what its samples do.
        spread = self.noise * 1.25 / max(1, samples) ** 0.5
        near = lambda value: value * self.rng.gauss(1.0, spread)  # noqa: E731
        people = min(0.9, max(0.05, 0.5 * share + self.rng.gauss(0, 0.06)))
        shares = (people, 0.3 * (1 - people), 0.7 * (1 - people))
        return Figures(
            samples=samples, fps=near(model.fps * share), age_p95_ms=near(80 / share), latency_ms=near(20),
            memory_mb=near(300), temperature_c=50 + 4 * (share - 1) + self.rng.gauss(0, 0.5), results=300,
            seen=Counter({label: round(300 * part) for label, part in zip(LABELS, shares, strict=True)}),
        )  # fmt: skip


def fleet(ways: Iterable[Way], seed: int = 1, **more: object) -> World:
    """Return a world with one device for each way."""
    rng = random.Random(seed)
    models = {f"t.d{number:04}": Model(f"t.d{number:04}", way) for number, way in enumerate(ways)}
    return World(models, rng, **more)  # type: ignore[arg-type]


def begun(nodes: Iterable[str], policy: Policy, now: float, key: str = "r1") -> Rollout:
    from edgesdk.fleet.rollout.model import Device

    waves = assigned(key, nodes, policy.shares, policy.first)
    devices = {name: Device(name, wave) for name, wave in waves.items()}
    count = max(1, len(wave_sizes(len(waves), policy.shares)))
    return Rollout(key, NEW, policy, waves=count, wave_at=now, devices=devices)


def verdict(rollout: Rollout, ways: dict[str, Way]) -> tuple[Status, int]:
    """Return how a roll-out must end, and in which wave: the plain model, which knows nothing of time or reports."""
    so_far: list[str] = []
    for wave in range(rollout.waves):
        members = [name for name, one in rollout.devices.items() if one.wave == wave]
        so_far += members
        for group in (members, so_far):
            bad = sum(ways[name].is_bad for name in group)
            if bad > allowed(len(group), rollout.policy.success):
                return Status.ROLLED_BACK, wave
    return Status.DONE, rollout.waves - 1
