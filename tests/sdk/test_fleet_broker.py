from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from edgesdk.fleet import broker as fleet_broker
from edgesdk.fleet.broker import Broker, find_broker, is_loopback
from edgesdk_targets.errors import InputError, LinkError
from edgesdk_testkit.brokers import KINDS, Ear
from edgesdk_testkit.required import missing


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    try:
        find_broker(request.param)
    except InputError as error:
        missing(str(error))
    return str(request.param)


def test_it_listens_on_loopback_at_a_free_port_and_ends_with_the_block(kind: str) -> None:
    with Broker(port=0, kind=kind) as broker:  # type: ignore[arg-type]
        port = broker.port
        assert str(broker.address) == f"mqtt://127.0.0.1:{port}"
        with Ear(broker.address):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    broker.stop()


def test_a_login_is_asked_for(kind: str) -> None:
    from edgesdk_targets.broker_address import BrokerAddress

    with Broker(port=0, kind=kind, username="me", password="it is right") as broker:  # type: ignore[arg-type]
        assert isinstance(broker.address, BrokerAddress)
        with Ear(broker.address, username="me", password="it is right"):
            pass


def test_a_port_in_use_is_told(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} is in use") as wrong:
            Broker(port=port, kind=kind).start()  # type: ignore[arg-type]
    assert "--port 0" in wrong.value.hint


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_a_host_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(InputError):
        Broker(host=host, port=0, open_to_network=True).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.example"])
def test_the_network_is_let_in_only_when_it_is_asked_for(host: str) -> None:
    with pytest.raises(InputError, match="without a password") as wrong:
        Broker(host=host)
    assert "--open-to-network" in wrong.value.hint
    Broker(host=host, open_to_network=True)
    Broker(host=host, username="a", password="b")


def test_what_is_loopback() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert not any(is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "box"))


@pytest.mark.parametrize("login", [("a", ""), ("", "b"), ("a:b", "c"), ("a", 'c"d'), ("a\n", "b")])
def test_a_login_that_a_broker_cannot_keep_is_refused(login: tuple[str, str]) -> None:
    with pytest.raises(InputError):
        Broker(username=login[0], password=login[1])


def test_mosquitto_is_found_where_daemons_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "sbin/mosquitto"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fleet_broker, "_SBIN", (str(program.parent),))
    assert find_broker().path == str(program)
    program.unlink()
    assert find_broker().kind == "iotcore"
    with pytest.raises(InputError, match="no mosquitto"):
        find_broker("mosquitto")


def test_without_any_broker_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fleet_broker, "_SBIN", ())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="no MQTT broker") as wrong:
        find_broker()
    assert "edgesdk[fleet]" in wrong.value.hint


def test_a_broker_that_ends_at_once_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho first >&2\necho out of luck >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("mosquitto") == str(program)
    for port in (0, 18_899):
        with pytest.raises(LinkError, match="ended with code 3: out of luck"):
            Broker(port=port, kind="mosquitto").start()
