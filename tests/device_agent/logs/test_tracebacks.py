from __future__ import annotations

import sys
import threading

import pytest
from pydantic import BaseModel, SecretStr

from edgesdk_agent.config.secrets import secrets_of, warn_of_arguments
from edgesdk_agent.logs.start import start_logs
from edgesdk_agent.logs.tracebacks import redact_tracebacks
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.secret_url import SecretUrl


@pytest.mark.usefixtures("log_put_back")
def test_tracebacks_that_nobody_catches_are_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    start_logs().redaction.add("hunter2")
    redact_tracebacks()
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)

    def fail() -> None:
        raise ValueError("rtsp://a:hunter3@h")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    told = capsys.readouterr().err
    assert told.count("Traceback") == 2
    assert "hunter" not in told


class _Inner(BaseModel):
    url: SecretUrl


class _Config(BaseModel):
    cameras: tuple[_Inner, ...]
    token: SecretStr
    none: SecretStr | None = None


def test_every_secret_of_a_configuration_is_found() -> None:
    config = _Config.model_validate({"cameras": [{"url": "rtsp://a:p%40ss@h/x"}], "token": "t0ken"})
    assert sorted(secrets_of(config)) == ["p%40ss", "p@ss", "t0ken"]
    assert "p%40ss" not in f"{config!r}{config.model_dump_json()}"
    broker = BrokerAddress.parse(SecretUrl("mqtt://me:hunter2@host"))
    assert "hunter2" not in f"{broker}{broker!r}"
    assert list(secrets_of(broker)) == ["hunter2"]


def test_a_password_in_an_argument_is_told_and_a_reference_is_not(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_arguments(["rtsp://a:${env:PW}@h/x", "rtsp://h/x", "0", "mqtt://h", ""])
    assert not caplog.records
    warn_of_arguments(["rtsp://a:hunter2@h/x"])
    assert "list of processes" in caplog.text
    assert "hunter2" not in caplog.text
