"""A real agent, a real broker and a real recorder, each ended by `kill -9` again and again; and what is missing in the end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.brokers import PATIENCE_S, RealBroker, running_broker
from edgesdk_testkit.kill_storm_outcome import StormOutcome, StormPlan, count_rows, has_caught_up, rows
from edgesdk_testkit.recorder_process import RecorderProcess

PARTS = ("broker", "recorder", "agent")
# A process that was killed lives at least so long before it may be killed again, so that each death interrupts work.
_LIVES_S = {"broker": 0.3, "recorder": 1.0, "agent": 3.0}
_LONGEST_AWAY_S = 1.0
_LAST_REPORTS_S = 40
_LAST_STARTS = 2


class KillStorm:
    """Runs one storm in a folder of its own.

    Args:
        bundle: what the agent runs; the smaller, the better.
    """

    def __init__(self, plan: StormPlan, bundle: Path, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._db = folder / "fleet.db"
        self._config = folder / "edgesdk.yaml"
        self._bundle = bundle
        self._chance = random.Random(plan.seed)
        self._born: dict[str, float] = {}
        self._kills: Counter[str] = Counter()
        # Who is dead, and when it comes back.
        self._back_at: dict[str, float] = {}

    def run(self) -> StormOutcome:
        """Run it, wait for the last report, and count."""
        began = time.monotonic()
        with ExitStack() as stack:
            self._broker: RealBroker = stack.enter_context(running_broker(self._plan.broker, self._folder / "broker"))
            self._config.write_text(self._configuration())
            self._start("recorder")
            stack.callback(lambda: self._recorder.kill())  # noqa: PLW0108  (the one that is there then)
            self._recorder.wait_ready()
            self._start("agent")
            stack.callback(lambda: self._agent.__exit__())  # noqa: PLW0108
            self._born["broker"] = time.monotonic()
            self._strike()
            left = self._end_agent()
            self._recorder.send(signal.SIGINT)
            recorder_code, _ = self._recorder.finish(None)
            assert recorder_code == 0, self._recorder.log
        outcome = count_rows(self._db, StormOutcome(self._plan))
        outcome.kills = dict(self._kills)
        outcome.seconds = round(time.monotonic() - began, 1)
        outcome.left = left
        return outcome

    def _configuration(self) -> str:
        plan = self._plan
        return json.dumps(
            {
                "bundle": str(self._bundle),
                "device": {"name": "gate"},
                "cameras": [{"name": "belt", "source": f"conveyor:?fps={plan.fps}", "mode": "every_frame"}],
                "mqtt": {
                    "url": self._broker.url,
                    "acknowledge": plan.acknowledge,
                    "will_delay_s": 0,
                    "flush_timeout_s": _LAST_REPORTS_S,
                },
                "outbox": {"path": str(self._folder / "outbox.db")},
                "telemetry": {"interval_s": 1},
                "pipeline": {"tune": "off", "probe_timeout_s": 0},
            }
        )

    def _strike(self) -> None:
        """Kill one after another; each comes back after a moment, in which others may die too."""
        # The worst first, so that each storm has it: the broker dies with what it acknowledged and nobody has fetched, and
        # the agent lives to tell what came afterwards.
        self._wait_for_rows(30)
        self._kill("recorder")
        self._pause(_LONGEST_AWAY_S / 2)
        self._kill("broker")
        self._wait_for_rows(30)
        pause = self._plan.within_s / self._plan.kills
        end = time.monotonic() + self._plan.within_s
        while sum(self._kills.values()) < self._plan.kills or time.monotonic() < end:
            self._pause(pause * self._chance.uniform(0.3, 1.7))
            now = time.monotonic()
            grown = [part for part in PARTS if part not in self._back_at and now - self._born[part] >= _LIVES_S[part]]
            if grown:
                # The one that was killed least is twice as likely, so that a short storm hits each.
                least = min(grown, key=lambda part: self._kills[part])
                self._kill(self._chance.choice([*grown, least]))
        self._pause(_LONGEST_AWAY_S)

    def _wait_for_rows(self, more: int) -> None:
        """Wait until so many further rows are stored."""
        enough, end = rows(self._db) + more, time.monotonic() + PATIENCE_S
        while rows(self._db) < enough:
            assert time.monotonic() < end, "nothing is stored"
            self._pause(0.1)

    def _end_agent(self) -> int:
        """Stop the agent well, and return how many reports are left in it.

        A stop does not wait for an outbox: what is not delivered within a second is for the next start. So where a busy
        machine leaves some, the agent is started again, and has to deliver them.
        """
        left = self._stop_agent()
        for _ in range(_LAST_STARTS if self._plan.acknowledge == "collector" else 0):
            if not left:
                break
            self._start("agent")
            left = self._stop_agent()
        return left

    def _stop_agent(self) -> int:
        """Stop it when it has caught up, and return how many reports are left in it."""
        self._wait_until_caught_up()
        # Alive together for a moment, so that each has something to do when the end is asked for.
        threading.Event().wait(2.0)
        self._agent.send(signal.SIGTERM)
        code, summary = self._agent.finish(_LAST_REPORTS_S + 20)
        assert code == 0, self._agent.log
        return int(summary["reports"]["undelivered"])

    def _wait_until_caught_up(self) -> None:
        """Wait until something of the agent's present life is stored, and with a collector all that was before it."""
        end = time.monotonic() + _LAST_REPORTS_S
        complete = self._plan.acknowledge == "collector"
        while not has_caught_up(self._db, self._agent_started_ms, complete=complete) and time.monotonic() < end:
            self._pause(0.2)

    def _pause(self, seconds: float) -> None:
        """Let time pass, and bring back who was dead for long enough."""
        end = time.monotonic() + seconds
        while True:
            due = min([end, *self._back_at.values()])
            threading.Event().wait(max(0.0, due - time.monotonic()))
            for part in [part for part, at in self._back_at.items() if at <= time.monotonic()]:
                del self._back_at[part]
                self._start(part)
            if due == end:
                return

    def _kill(self, part: str) -> None:
        if part == "broker":
            self._broker.kill()
        elif part == "recorder":
            self._recorder.kill()
        else:
            self._agent.send(signal.SIGKILL)
            self._agent.finish(10)
        self._kills[part] += 1
        away_s = self._chance.uniform(0.1, _LONGEST_AWAY_S) if self._kills["broker"] else _LONGEST_AWAY_S
        self._back_at[part] = time.monotonic() + away_s

    def _start(self, part: str) -> None:
        if part == "broker":
            self._broker.start()
        elif part == "recorder":
            self._recorder = RecorderProcess(self._broker.url, self._db, "--wait")
        else:
            self._agent_started_ms = int(time.time() * 1000)
            self._agent = AgentProcess("--config", self._config)
        self._born[part] = time.monotonic()


def bundle_for_storms(folder: Path) -> Path:
    """Return a small detector's bundle, converted in a process of its own."""
    example = Path(__file__).parents[3] / "examples/digits/detector.yaml"
    subprocess.run(
        [sys.executable, "-m", "edgesdk", "convert", example, "--target", "generic-onnx", "-o", folder, "--json"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return next(folder.glob("*.edgebundle"))


def storm(plan: StormPlan, bundle: Path) -> StormOutcome:
    """Run one storm in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="edgesdk-storm-") as folder:
        return KillStorm(plan, bundle, Path(folder)).run()
