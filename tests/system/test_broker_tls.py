"""The device's link and the fleet's listener over TLS, against a real broker and certificates of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgesdk_agent.link.link import Link
from edgesdk_agent.link.presence import Identity, Presence
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.errors import EdgeError, NotConnected
from edgesdk_targets.messages import Encoded
from edgesdk_testkit.agent_like import NODE
from edgesdk_testkit.brokers import PATIENCE_S, RealBroker, running_broker
from edgesdk_testkit.certificates import Certificates, make_certificates

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def _lines(files: Certificates, *more: str) -> tuple[str, ...]:
    return (f"cafile {files.ca}", f"certfile {files.server}", f"keyfile {files.server_key}", *more)


def _link(broker: RealBroker, host: str = "127.0.0.1", *, tls: bool = True, **files: Path | bool) -> Link:
    queue = ReportQueue()
    presence = Presence(Identity(NODE), epoch=queue.epoch, next_seq=lambda: queue.next_seq)
    settings = LinkSettings(connect_timeout_s=2, retry_first_s=0.05, retry_limit_s=0.1)
    context = tls_context(**files) if tls else None  # type: ignore[arg-type]
    return Link(BrokerAddress(host, broker.port, tls=tls), queue, presence, tls=context, settings=settings)


def _delivers(link: Link) -> None:
    link.start(require_within_s=PATIENCE_S)
    try:
        for _ in range(200):
            link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"x" * 5000))
        assert link.flush(PATIENCE_S)
    finally:
        link.stop()


def _refused(link: Link, within_s: float = 3600) -> EdgeError:
    with pytest.raises(NotConnected) as refused:
        link.start(require_within_s=within_s)
    return refused.value


def test_results_go_over_tls_to_a_broker_whose_authority_is_known(files: Certificates, tmp_path: Path) -> None:
    with running_broker("mosquitto", tmp_path, extra=_lines(files)) as broker:
        _delivers(_link(broker, ca=files.ca))
        _delivers(_link(broker, "localhost", ca=files.ca))
        _delivers(_link(broker, insecure=True))


def test_an_unknown_authority_and_a_wrong_host_are_refused_at_once(files: Certificates, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other")
    with running_broker("mosquitto", tmp_path / "broker", extra=_lines(files)) as broker:
        for link in (_link(broker), _link(broker, ca=other.ca)):
            error = _refused(link)
            assert "is not trusted" in error.message
            assert "mqtt.ca" in error.hint
    wrong_host = Certificates(files.ca, files.client, files.client_key, files.client, files.client_key)
    with running_broker("mosquitto", tmp_path / "wrong", extra=_lines(wrong_host)) as broker:
        assert "is not trusted" in _refused(_link(broker, ca=files.ca)).message


def test_plain_mqtt_at_a_tls_port_is_told(files: Certificates, tmp_path: Path) -> None:
    with running_broker("mosquitto", tmp_path, extra=_lines(files)) as broker:
        assert "TLS" in _refused(_link(broker, tls=False), 1).hint


def test_a_broker_that_asks_for_a_certificate_gets_it_or_is_told_of(files: Certificates, tmp_path: Path) -> None:
    with running_broker("mosquitto", tmp_path, extra=_lines(files, "require_certificate true")) as broker:
        _delivers(_link(broker, ca=files.ca, cert=files.client, key=files.client_key))
        assert "certificate" in str(_refused(_link(broker, ca=files.ca), 1))


@pytest.mark.parametrize("with_authority", [True, False])
def test_the_fleet_listens_over_tls(files: Certificates, tmp_path: Path, with_authority: bool) -> None:
    from typer.testing import CliRunner

    from edgesdk.cli.fleet import app

    with running_broker("mosquitto", tmp_path, extra=_lines(files)) as broker:
        arguments = ["watch", "--broker", f"mqtts://127.0.0.1:{broker.port}", "--json", "--duration", "0.2"]
        run: Callable[[list[str]], object] = lambda more: CliRunner().invoke(app, [*arguments, *more])  # noqa: E731
        result = run(["--ca", str(files.ca)] if with_authority else [])
    error = getattr(result, "exception")  # noqa: B009
    if with_authority:
        assert error is None
    else:
        assert isinstance(error, NotConnected)
        assert "is not trusted" in error.message
