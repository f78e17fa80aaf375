"""A simulated fleet as a whole: its devices by name, how long it runs, and what came of it."""

from __future__ import annotations

import random
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgesdk.fleet.sim.certificates import TlsOf
from edgesdk.fleet.sim.crowd import Crowd
from edgesdk.fleet.sim.device import Device, Settings
from edgesdk.fleet.sim.faults import Faults, Shares
from edgesdk.fleet.sim.figures import Figures
from edgesdk.fleet.sim.mqtt_packets import Login
from edgesdk.fleet.sim.profiles import Profile
from edgesdk.fleet.sim.reports import ResultTexts
from edgesdk.fleet.sim.speech import Speech
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import DEFAULT_TENANT, Node

MAX_DEVICES = 100_000
MAX_RATE = 1000.0
# Files that the rest of the process needs.
_SPARE_FILES = 64
_SHOW_S = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet to simulate.

    Attributes:
        rate: reports a second of each device; None: the profile's.
        prefix: devices are called `prefix-00001` and so on.
        within_s: they connect spread over so long; None: at most a thousand a second.
        drain_s: at the end, how long to wait until everything is told as stored.
        seed: of everything that is drawn.
    """

    devices: int
    profile: Profile
    rate: float | None = None
    shares: Shares = field(default_factory=Shares)
    tenant: str = DEFAULT_TENANT
    prefix: str = "sim"
    duration_s: float | None = None
    within_s: float | None = None
    drain_s: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= MAX_DEVICES:
            raise InputError(f"{self.devices} devices cannot be simulated.", hint=f"From 1 to {MAX_DEVICES}.")
        if self.rate is not None and not 0 <= self.rate <= MAX_RATE:
            raise InputError(f"A rate of {self.rate:g} a second is none.", hint=f"From 0 to {MAX_RATE:g}.")

    def nodes(self) -> list[Node]:
        """Return the devices' names, the same for the same plan."""
        digits = max(5, len(str(self.devices)))
        return [Node(f"{self.prefix}-{number:0{digits}d}", self.tenant) for number in range(1, self.devices + 1)]


class Simulation:
    """Runs a plan, once.

    Raises:
        InputError: so many connections cannot be open in one process.
    """

    def __init__(self, plan: Plan, address: BrokerAddress, tls_of: TlsOf) -> None:
        self.plan = plan
        self.figures = Figures(devices=plan.devices)
        self._address = address
        self._tls_of = tls_of
        self._began = time.monotonic()
        _let_open(plan.devices + _SPARE_FILES)

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return time.monotonic() - self._began

    def run(self, stopped: Callable[[], bool], show: Callable[[int], None]) -> dict[str, Any]:
        """Run until the time is up or it is told to stop, and return what came of it.

        Args:
            show: is called about twice a second with the number of reports that are not told as stored.

        Raises:
            NotConnected: nobody answers at the broker's address at the start.
        """
        self._check_broker()
        plan = self.plan
        within_s = plan.devices / 1000 if plan.within_s is None else plan.within_s
        crowd = Crowd(
            self._address, self._devices(), self.figures, self._tls_of, within_s=within_s, away_s=plan.profile.away_s,
            seed=plan.seed,
        )  # fmt: skip
        self._began = time.monotonic()
        try:
            self._run(crowd, stopped, show, plan.duration_s)
            crowd.stop_reporting()
            if not stopped():
                self._run(crowd, lambda: stopped() or not crowd.kept, show, plan.drain_s)
            told = self.figures.to_json(self.seconds, crowd.kept)
            crowd.leave()
        finally:
            crowd.close()
        return {"broker": str(self._address), "profile": plan.profile.name, "seed": plan.seed, **told}

    def _run(
        self, crowd: Crowd, stopped: Callable[[], bool], show: Callable[[int], None], seconds: float | None
    ) -> None:
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while not stopped() and time.monotonic() < end:
            crowd.run_until(min(end, time.monotonic() + _SHOW_S), stopped)
            show(crowd.kept)

    def _devices(self) -> list[Device]:
        plan = self.plan
        texts = ResultTexts(plan.seed, plan.profile.objects)
        rate = plan.profile.rate if plan.rate is None else plan.rate
        settings = Settings(plan.profile, rate, plan.profile.backlog)
        # A sequence is one of a life: the same numbers in another run are other reports.
        life = secrets.token_hex(6)
        password = self._address.password
        wall_ms = (time.time() - time.monotonic()) * 1000
        devices = []
        for node in plan.nodes():
            seed = f"{plan.seed} {node}"
            chance = random.Random(seed)  # noqa: S311  (nothing secret)
            faults = Faults.draw(plan.shares, chance)
            speech = Speech(node, life, life, seed, plan.profile, texts)
            secret = password.get_secret_value() if password else ""
            login = Login(str(node), self._address.username, secret)
            devices.append(Device(speech, login, settings, faults, self.figures, chance, wall_ms))
        return devices

    def _check_broker(self) -> None:
        try:
            socket.create_connection((self._address.host, self._address.port), timeout=5).close()
        except OSError as error:
            raise broker_problem.from_exception(self._address, error).error() from error


def _let_open(files: int) -> None:
    """Allow this process so many open files.

    Raises:
        InputError: the machine's limit is lower.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < files:
        raise InputError(
            f"This process may open {hard} files, and {files} are needed.",
            hint=f"Simulate at most {hard - _SPARE_FILES} devices in one process, or raise `ulimit -Hn`.",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
