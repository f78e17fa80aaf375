"""`edgesdk fleet broker` and `edgesdk fleet watch` as a user runs them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_targets.messages import DEFLATED, JSON
from edgesdk_testkit.agent_like import make_link, result, telemetry
from edgesdk_testkit.brokers import KINDS, PATIENCE_S, Ear, RealBroker

pytestmark = pytest.mark.system

EDGESDK = [sys.executable, "-c", "from edgesdk.cli.app import main; main()"]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "140"}


@contextlib.contextmanager
def _edgesdk(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen([*EDGESDK, *arguments], text=True, env=_environment(), **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGESDK, *arguments], text=True, capture_output=True, env=_environment(), timeout=60, check=False
    )


@contextlib.contextmanager
def _broker(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `fleet broker` at a free port; give the process and the URL that it printed."""
    with _edgesdk("fleet", "broker", "--port", "0", *arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"mqtt://\S+", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield process, found.group(0)


def _address(url: str) -> Any:
    from edgesdk_targets.broker_address import BrokerAddress

    return BrokerAddress.parse(url)


def _is_gone(url: str) -> bool:
    import socket

    deadline = time.monotonic() + PATIENCE_S
    address = _address(url)
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address.host, address.port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # it ended at this very moment
        select.select([], [], [], 0.02)
    return False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_broker_runs_until_it_is_told_to_stop(kind: str, number: int) -> None:
    with _broker("--kind", kind) as (process, url):
        with Ear(_address(url)):
            pass
        process.send_signal(number)
        _, notes = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert f"Next: edgesdk fleet watch --broker {url}" in notes
        assert _is_gone(url)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_does_not_outlive_its_command(kind: str) -> None:
    with _broker("--kind", kind) as (process, url):
        process.kill()
        process.wait()
        assert _is_gone(url)


def test_a_broker_says_where_it_is_as_one_json_document() -> None:
    with _edgesdk("fleet", "broker", "--port", "0", "--json") as process:
        assert process.stdout is not None
        text = ""
        while "}" not in text:
            text += process.stdout.readline()
        document = json.loads(text)
        assert set(document) == {"url", "kind", "host", "port"}
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE_S)
        assert not rest


def test_a_broker_that_dies_is_an_error(tmp_path: Path) -> None:
    import psutil

    with _broker("--kind", "iotcore") as (process, _):
        (child,) = psutil.Process(process.pid).children()
        child.kill()
        _, notes = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "ended by itself" in notes
    assert "Traceback" not in notes


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("broker", "--host", "0.0.0.0"), 2, "--open-to-network"),
        (("broker", "--port", "99999"), 2, "65535"),
        (("broker", "--kind", "emqx"), 2, "mosquitto"),
        (("watch", "--broker", "http://x"), 2, "mqtt://host:1883"),
        (("watch", "--broker", "mqtt://127.0.0.1:1", "--once"), 1, "No broker answers"),
        (("watch", "--broker", "mqtt://u:hunter2@127.0.0.1:1", "--once"), 1, "No broker answers"),
        (("watch", "--ca", "x.pem"), 2, "mqtts://"),
        (("watch", "--broker", "mqtts://x", "--ca", "none.pem"), 2, "none.pem"),
    ],
    ids=range(8),
)
def test_what_cannot_work_is_told_without_a_traceback(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = _run("fleet", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert not done.stdout


@contextlib.contextmanager
def _watcher(broker: RealBroker, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `fleet watch --json`, and go on when it listens."""
    with _edgesdk("fleet", "watch", "--broker", broker.url, "--json", *arguments) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("Listening"), line + process.stderr.read()
        yield process


def test_a_watcher_counts_what_was_sent(broker: RealBroker) -> None:
    queue = ReportQueue()
    with _watcher(broker) as watcher, Ear(broker.address) as ear:
        link = make_link(broker.address, queue)
        link.start(require_within_s=PATIENCE_S)
        for frame in range(300):
            queue.put(ReportKind.RESULT, result(frame))
        queue.put(ReportKind.TELEMETRY, telemetry)
        assert link.flush(PATIENCE_S)
        link.stop()
        heard = ear.wait_for(lambda heard: heard[-1].topic.endswith("up/state") and len(ear.said("up/result")) == 300)
        assert {h.content_type for h in heard} == {JSON, DEFLATED}
        # What this listener has heard, the broker has passed on to the watcher too; its document says if it came.
        out = _end_of(watcher)
    (device,) = out["devices"]
    assert (device["node"], device["state"], device["results"]) == ("local.cam1", "offline", 300)
    assert (device["missing"], device["duplicates"], out["malformed"]) == (0, 0, 0)
    assert device["last_result"] == "“299”"
    assert device["telemetry"]["fps"] == 99.0


def _end_of(watcher: subprocess.Popen[str]) -> dict[str, Any]:
    """Stop a watcher and return its document."""
    watcher.send_signal(signal.SIGINT)
    out, notes = watcher.communicate(timeout=PATIENCE_S)
    assert watcher.returncode == 0, notes
    assert "Traceback" not in notes
    document: dict[str, Any] = json.loads(out)
    return document


def test_a_watcher_ends_by_itself_with_one_document(broker: RealBroker) -> None:
    done = _run("fleet", "watch", "--broker", broker.url, "--json", "--duration", "0.3")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "broker": broker.url,
        "devices": [],
        "messages": 0,
        "malformed": 0,
        "malformed_last": "",
    }


def test_one_table_shows_what_the_broker_kept(broker: RealBroker) -> None:
    link = make_link(broker.address, ReportQueue())
    link.start(require_within_s=PATIENCE_S)
    with Ear(broker.address) as ear:
        ear.wait_for(lambda heard: len(heard) >= 3)
        done = _run("fleet", "watch", "--broker", broker.url, "--once", "--duration", "0.5")
    link.stop()
    assert done.returncode == 0, done.stderr
    assert re.search(r"local\.cam1\s+online", done.stdout)


class _Terminal:
    """A command on a terminal of its own, whose screen can be waited for."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*EDGESDK, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=_environment(), close_fds=True
        )
        os.close(theirs)
        self.text = ""

    def wait_for(self, pattern: str) -> None:
        """Wait until what was drawn since the last call matches."""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text[-2000:]!r}"
            if select.select([self._ours], [], [], 0.5)[0]:
                with contextlib.suppress(OSError):
                    self.text += re.sub(
                        r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._ours, 65536).decode(errors="replace")
                    )
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_the_live_table_survives_its_broker_and_bad_messages(broker: RealBroker) -> None:
    queue = ReportQueue()
    with _Terminal("fleet", "watch", "--broker", broker.url) as terminal:
        terminal.wait_for("No device")
        link = make_link(broker.address, queue)
        link.start(require_within_s=PATIENCE_S)
        queue.put(ReportKind.RESULT, result(7))
        terminal.wait_for(r"local\.cam1\s+online[^\n]*“7”")
        with _plain_client(broker) as client:
            client.publish("edgesdk/1/local.cam1/up/result", b"\xff not json", qos=1).wait_for_publish(PATIENCE_S)
        terminal.wait_for("1 unreadable")
        broker.kill()
        terminal.wait_for("no connection")
        broker.start()
        terminal.wait_for(r"\d messages")
        # The table listens again when it shows what came after the restart.
        number = itertools.count(100)
        done = threading.Event()

        def keep_reporting() -> None:
            while not done.wait(0.05):
                queue.put(ReportKind.RESULT, result(next(number)))

        reporting = threading.Thread(target=keep_reporting)
        reporting.start()
        try:
            terminal.wait_for(r"“1\d\d”")
        finally:
            done.set()
            reporting.join()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE_S) == 0
        link.stop()


@contextlib.contextmanager
def _plain_client(broker: RealBroker) -> Iterator[Any]:
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id="plain", protocol=MQTTv5)
    client.connect(broker.address.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
