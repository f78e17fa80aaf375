"""What `fleet watch` is told when a broker refuses it: in the words of its own command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.cli.app import run
from edgesdk.fleet.subscriber import in_flags
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.brokers import running_broker

ADDRESS = BrokerAddress.parse("mqtts://box")


def test_no_hint_names_a_key_of_the_agents_file() -> None:
    problems = [broker_problem.from_reason_code(ADDRESS, code) for code in broker_problem._REASONS]
    problems.append(broker_problem.closed(ADDRESS))
    of_keys = [p for p in problems if "mqtt.username" in p.hint or "mqtt.cert" in p.hint]
    assert len(of_keys) >= 3, "there is something to translate"
    for problem in of_keys:
        hint = in_flags(problem).hint
        assert "mqtt." not in hint
        assert "--username" in hint or "--cert" in hint


@pytest.mark.system
@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_a_wrong_password_is_told_with_the_flags(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with running_broker(kind, tmp_path, username="me", password="right") as broker:
        assert run(["fleet", "watch", "--once", "-b", broker.url, "--username", "me", "--password", "wrong"]) == 1
    err = capsys.readouterr().err
    assert "error:" in err
    assert "mqtt.username" not in err
    assert "--username" in err or "user or password" in err
