"""Malformed commands, desired states, settings, configurations and payloads: nothing breaks, each is refused or counted.

Some thousands of each; `python benchmarks/malformed.py` tries ten thousand and more.
"""

from __future__ import annotations

import importlib.util
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgesdk_agent.commands.verbs import birth
from edgesdk_testkit.malformed_steering import COMMAND, KINDS, malformed
from edgesdk_testkit.steered import Bench

SHORT = {"commands": 1800, "desired states": 1800, "settings": 1800, "configurations": 900, "payloads": 1800}


def _stamp(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_whatever_comes_is_refused_or_counted(kind: str, tmp_path: Path) -> None:
    found = malformed(kind, SHORT[kind], tmp_path)
    assert found.total() >= SHORT[kind]
    assert found["refused"] + found["malformed"] > SHORT[kind] // 4, "most of it is wrong"
    assert len(+found) > 1, "and some of it is not, or nothing behind the first check was tried"


def test_negative_control_a_verb_that_breaks_and_a_reader_that_raises_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> dict[str, object]:
        raise ZeroDivisionError

    monkeypatch.setattr(type(birth.VERB), "run", property(lambda _verb: broken))
    with pytest.raises(AssertionError, match="failed"):
        malformed("commands", 1800, tmp_path)
    monkeypatch.setattr("edgesdk_testkit.malformed_steering.load_config", broken)
    with pytest.raises(ZeroDivisionError):
        malformed("configurations", 60, tmp_path)


def test_the_command_tries_all_kinds_and_says_what_became_of_them(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("malformed_command", root / "benchmarks/malformed.py")
    assert spec is not None
    assert spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    assert command.main(["--count", "60", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["kinds"]) == set(KINDS)
    assert all(sum(found.values()) >= 60 for found in told["kinds"].values())
    assert command.USUAL_COUNT >= 10_000


@pytest.mark.parametrize(
    ("topic", "retained", "counted"),
    [(COMMAND, True, "malformed"), (COMMAND, False, "commands"), ("edgesdk/1/local.gate/down/ack", False, None)],
)
def test_a_retained_command_is_not_done_at_every_start(
    tmp_path: Path, topic: str, retained: bool, counted: str | None
) -> None:
    bench = Bench(tmp_path)
    document = {
        "schema": "cmd/1", "node": "local.gate", "at": _stamp(0), "id": "x", "verb": "birth", "deadline": _stamp(9)
    }  # fmt: skip
    bench.say(topic, json.dumps(document).encode(), retained=retained)
    assert bench.steering._border.counts() == ({counted: 1} if counted else {})
