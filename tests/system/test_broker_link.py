"""The device's link against real brokers: order, faults, wills, logins."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.link.link import Link
from edgesdk_agent.link.report_queue import QueuedReport, ReportKind, ReportQueue
from edgesdk_agent.link.settings import LinkStatus
from edgesdk_targets.errors import NotConnected
from edgesdk_targets.messages import Encoded, State
from edgesdk_testkit.agent_like import make_link, result
from edgesdk_testkit.brokers import KINDS, PATIENCE_S, Ear, Heard, RealBroker, running_broker

pytestmark = pytest.mark.system


@contextlib.contextmanager
def _agent(broker: RealBroker, count: int) -> Iterator[subprocess.Popen[str]]:
    support = Path(__file__).parents[1] / "support"
    path = os.pathsep.join([str(support), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-m", "edgesdk_testkit.agent_like", broker.url, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait_until(link: Link, true: Callable[[LinkStatus], bool]) -> LinkStatus:
    with link._changed:
        assert link._changed.wait_for(lambda: true(link._status), PATIENCE_S), link._status
        return link._status


def _state(wanted: str) -> Callable[[list[Heard]], bool]:
    return lambda heard: any(h.topic.endswith("up/state") and h.message.state == wanted for h in heard)


def _frames(heard: list[Heard]) -> list[int]:
    return [h.message.frame for h in heard if h.topic.endswith("up/result")]


def _without_repeats(heard: list[Heard]) -> list[int]:
    """Return the frames as a reader stores them: what comes twice is ignored by (epoch, seq)."""
    seen: set[tuple[str, int]] = set()
    frames = []
    for message in (h.message for h in heard if h.topic.endswith("up/result")):
        if (message.epoch, message.seq) not in seen:
            seen.add((message.epoch, message.seq))
            frames.append(message.frame)
    return frames


def test_every_result_arrives_in_order_and_the_last_ones_at_the_stop(broker: RealBroker) -> None:
    queue = ReportQueue()
    with Ear(broker.address) as ear:
        link = make_link(broker.address, queue)
        link.start(require_within_s=PATIENCE_S)
        for frame in range(500):
            queue.put(ReportKind.RESULT, result(frame))
        assert link.flush(PATIENCE_S)
        link.stop()
        heard = ear.wait_for(_state("offline"))
    assert _frames(heard) == list(range(500))
    kinds = [h.topic.rpartition("/")[2] for h in heard]
    assert kinds[:3] == ["birth", "reported", "state"]
    assert kinds[-1] == "state"
    assert queue.counts().delivered["result"] == 500
    assert all(h.content_type == "application/json" for h in heard)


def test_birth_state_and_what_is_installed_are_kept_for_who_comes_later(broker: RealBroker) -> None:
    link = make_link(broker.address, ReportQueue())
    link.start(require_within_s=PATIENCE_S)
    _wait_until(link, lambda status: status.acknowledged >= 3)
    with Ear(broker.address) as ear:
        heard = ear.wait_for(lambda heard: len(heard) >= 3)
        assert {h.topic.rpartition("/")[2] for h in heard} == {"birth", "state", "reported"}
        assert all(h.retained for h in heard)
        link.stop()
        ear.wait_for(_state("offline"))


def test_a_killed_agent_is_told_dead_by_its_will(broker: RealBroker) -> None:
    with Ear(broker.address) as ear, _agent(broker, 3) as agent:
        ear.wait_for(_state("online"))
        agent.send_signal(signal.SIGKILL)
        heard = ear.wait_for(_state("offline"))
    will = heard[-1].message
    birth = next(h.message for h in heard if h.topic.endswith("up/birth"))
    assert isinstance(will, State)
    assert (will.state, will.reason) == ("offline", "connection lost")
    assert (will.boot_id, will.session) == (birth.boot_id, birth.session)


def test_an_agent_that_stops_says_so_itself_and_its_will_is_not_said(broker: RealBroker) -> None:
    with Ear(broker.address) as ear:
        with _agent(broker, 3) as agent:
            agent.communicate(timeout=PATIENCE_S)
            ear.wait_for(_state("offline"))
        # The first one's will would be said a second after its end, which is before this second one's.
        with _agent(broker, 0) as another:
            ear.wait_for(lambda heard: _reasons(heard).count("connected") == 2)
            another.send_signal(signal.SIGKILL)
            heard = ear.wait_for(lambda heard: _reasons(heard).count("connection lost") == 1)
    assert _reasons(heard) == ["connected", "stopped", "connected", "connection lost"]


def _reasons(heard: list[Heard]) -> list[str]:
    return [h.message.reason for h in heard if h.topic.endswith("up/state")]


@pytest.mark.alone
def test_a_break_shorter_than_the_wills_delay_is_not_told(mosquitto: RealBroker) -> None:
    """The same agent, killed and started again at once: nobody is told that it was away."""
    with Ear(mosquitto.address) as ear:
        with _agent(mosquitto, 1) as agent:
            agent.send_signal(signal.SIGKILL)
            agent.wait()
        with _agent(mosquitto, 1) as agent:
            agent.communicate(timeout=PATIENCE_S)
        heard = ear.wait_for(_state("offline"))
    assert _reasons(heard) == ["connected", "connected", "stopped"]


class _Gated(ReportQueue):
    """A queue that can hold everything back, and knows what was acknowledged.

    Args:
        middle: the report that the link gets when the broker is dead, and not before: however long a machine takes to kill
            it, the link is not through before that.
    """

    def __init__(self, middle: int) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.acknowledged: set[int] = set()
        self.at_middle, self.dead = threading.Event(), threading.Event()
        self._middle = middle

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        taken = super().take(count) if self.gate.is_set() else ()
        if any(report.seq == self._middle for report in taken):
            self.at_middle.set()
            assert self.dead.wait(PATIENCE_S), "the broker's end"
        return taken

    def done(self, seq: int) -> None:
        self.acknowledged.add(seq)
        super().done(seq)


class _ForgetsAtOnce(_Gated):
    """The control: what is taken is forgotten, as by a client that trusts a send."""

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        taken = super().take(count)
        for report in taken:
            self.done(report.seq)
        self.acknowledged.clear()
        return taken


def _through_a_crash(broker: RealBroker, kind: type[_Gated], count: int = 3000) -> tuple[set[int], list[int], set[int]]:
    """Kill the broker while results are on their way to it, and bring it back.

    Args:
        kind: of queue; the broker dies when half of what is in it was sent.

    Returns:
        What was acknowledged before the crash; what a reader has in the end, repeats left out; what was reported.
    """
    queue = kind(middle=count // 2)
    with Ear(broker.address) as ear:
        link = make_link(broker.address, queue)
        link.start(require_within_s=PATIENCE_S)
        for frame in range(count):
            queue.put(ReportKind.RESULT, result(frame))
        assert queue.at_middle.wait(PATIENCE_S), "half of them"
        broker.kill()
        queue.gate.clear()
        queue.dead.set()
        _wait_until(link, lambda status: not status.connected)
        before = set(queue.acknowledged)
        broker.start()
        # A broker passes nothing on to a reader that is not back yet.
        ear.wait_subscribed(2)
        queue.gate.set()
        queue.put(ReportKind.RESULT, result(count))
        assert link.flush(PATIENCE_S)
        heard = ear.wait_for(lambda heard: count in _frames(heard))
        link.stop()
    assert len({h.message.session for h in heard if h.topic.endswith("up/birth")}) == 2
    # Sequence numbers begin at 1, frames at 0.
    return before, [frame + 1 for frame in _without_repeats(heard)], set(range(1, count + 2))


def test_a_killed_broker_costs_nothing_that_it_had_not_acknowledged(broker: RealBroker) -> None:
    acknowledged, arrived, reported = _through_a_crash(broker, _Gated)
    assert arrived == sorted(arrived)
    assert 20 < len(acknowledged) < 3000, "the broker died in the middle"
    # What it acknowledged and had not passed on yet dies with it: that is what the collector's own word is for.
    assert reported - set(arrived) <= acknowledged


def test_a_client_that_trusts_a_send_loses_more(mosquitto: RealBroker) -> None:
    """Negative control of the test above: it tells the difference."""
    acknowledged, arrived, reported = _through_a_crash(mosquitto, _ForgetsAtOnce)
    assert not reported - set(arrived) <= acknowledged


def test_the_agent_starts_without_a_broker_and_delivers_when_there_is_one(mosquitto: RealBroker) -> None:
    mosquitto.kill()
    queue = ReportQueue()
    link = make_link(mosquitto.address, queue)
    link.start()
    for frame in range(20):
        queue.put(ReportKind.RESULT, result(frame))
    mosquitto.start()
    with Ear(mosquitto.address) as ear:
        # The ear may come after the results; the link's own counts say that they went.
        assert link.flush(PATIENCE_S)
        queue.put(ReportKind.RESULT, result(20))
        ear.wait_for(lambda heard: 20 in _frames(heard))
    link.stop()
    assert queue.counts().delivered["result"] == 21


def test_a_required_connection_that_comes_late_is_waited_for(mosquitto: RealBroker) -> None:
    mosquitto.kill()
    link = make_link(mosquitto.address, ReportQueue())
    starter = threading.Thread(target=mosquitto.start)
    starter.start()
    link.start(require_within_s=PATIENCE_S)
    starter.join()
    assert link.status().connected
    link.stop()


def test_a_changed_presence_is_told_on_the_same_connection(mosquitto: RealBroker) -> None:
    queue = ReportQueue()
    link = make_link(mosquitto.address, queue)
    with Ear(mosquitto.address) as ear:
        link.start(require_within_s=PATIENCE_S)
        link._ends.presence.change(target="rpi5")
        link.refresh()
        heard = ear.wait_for(lambda heard: any(_target(h) == "rpi5" for h in heard))
        link.stop()
    births = [h.message for h in heard if h.topic.endswith("up/birth")]
    assert [b.session for b in births] == [1, 1]


def _target(heard: Heard) -> Any:
    return getattr(heard.message, "target", None)


def test_two_agents_of_one_name_are_told_of_each_other(broker: RealBroker) -> None:
    links = [make_link(broker.address, ReportQueue()) for _ in range(2)]
    for link in links:
        link.start()
    try:
        status = _wait_until(
            links[0], lambda s: s.problem is not None and s.problem.reason in {"unsteady", "taken_over"}
        )
        assert status.problem is not None
        assert "device.name" in status.problem.hint
    finally:
        for link in links:
            link.stop()


def test_large_results_pass(broker: RealBroker) -> None:
    queue = ReportQueue()
    with Ear(broker.address) as ear:
        link = make_link(broker.address, queue)
        link.start(require_within_s=PATIENCE_S)
        queue.put(ReportKind.RESULT, lambda *_: Encoded(b"x" * 250_000))
        heard = ear.wait_for(lambda heard: any(len(h.payload) == 250_000 for h in heard))
        link.stop()
    assert heard


@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_told_and_the_right_one_works(kind: str, tmp_path: Path) -> None:
    from pydantic import SecretStr

    with running_broker(kind, tmp_path / "broker", username="device", password="right") as broker:
        wrong = broker.address.with_login("device", SecretStr("hunter2"))
        with pytest.raises(NotConnected) as refused:
            make_link(wrong, ReportQueue()).start(require_within_s=1)
        assert "user" in refused.value.hint
        assert "hunter2" not in str(refused.value)
        with pytest.raises(NotConnected):
            make_link(broker.address, ReportQueue()).start(require_within_s=1)
        queue = ReportQueue()
        link = make_link(broker.address.with_login("device", SecretStr("right")), queue)
        link.start(require_within_s=PATIENCE_S)
        queue.put(ReportKind.RESULT, result(0))
        assert link.flush(PATIENCE_S)
        link.stop()


def test_reports_wait_for_a_broker_whose_rules_are_mended_and_that_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker whose rules let the device write its state and nothing else, until somebody corrects them."""
    rules = tmp_path / "rules"
    rules.write_text("pattern write edgesdk/1/%c/up/birth\npattern write edgesdk/1/%c/up/state\n")
    with running_broker("mosquitto", tmp_path / "broker", extra=(f"acl_file {rules}",)) as broker:
        queue = ReportQueue()
        link = make_link(broker.address, queue)
        # Whether it is connected first or refused first is a matter of the machine: none is required.
        link.start()
        queue.put(ReportKind.RESULT, result(0))
        refused = _wait_until(link, lambda status: status.problem is not None and status.session >= 4)
        assert refused.problem is not None
        assert refused.problem.reason == "forbidden"
        assert sum("does not let" in line.getMessage() for line in caplog.records) == 1
        broker.kill()
        rules.write_text("pattern write edgesdk/1/%c/up/#\n")
        broker.start()
        assert link.flush(PATIENCE_S)
        _wait_until(link, lambda status: status.connected and status.problem is None)
        link.stop()
    assert queue.counts().lost == {}
