"""Ten thousand malformed commands, desired states and settings: nothing breaks, each is refused or counted.

Hypothesis makes documents; of each some dozens are derived: cut off, with bytes changed, with a field gone or of another
kind. All go in where messages come in, and through everything behind it up to the answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk_agent.config.source import ConfigSource
from edgesdk_targets.errors import EdgeError
from edgesdk_testkit.steered import CONFIG, Bench

COMMAND = "edgesdk/1/local.gate/down/cmd"
DESIRED = "edgesdk/1/local.gate/down/desired"
VERBS = (
    "set",
    "pause",
    "resume",
    "log-level",
    "logs",
    "bundle",
    "birth",
    "reload",
    "restart",
    "snapshat",
    "clip",
    "upload",
    "",
    "é" * 300,
)
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["${env:HOME}", "../../etc/passwd", "\x00", "telemetry.interval_s", "mqtt.url", "cameras[99].fps"]),
)  # fmt: skip
FIELDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from([
        "values", "telemetry.interval_s", "cameras[0].detect_fps", "cameras[0]", "pipeline", "hooks", "mqtt.password",
        "camera", "level", "count", "name", "restart", "config", "bundle", "log_level", "paused_cameras", "a..b", "x[",
    ]),
)  # fmt: skip
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(FIELDS, VALUES, max_size=4)
ODD = (None, True, -1, 2**80, 1e400, "", "x" * 5000, [], {}, [[[[]]]], {"": {"": {}}}, "2026-01-01T00:00:00Z", "\ud800")
# So many documents of hypothesis, and of each as many more.
COMMANDS, STATES, SETTINGS, OF_EACH = 100, 35, 35, 60


def _made(documents: int) -> settings:
    return settings(max_examples=documents, deadline=None, database=None, suppress_health_check=[*HealthCheck])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    level = logging.getLogger().level
    made = Bench(tmp_path_factory.mktemp("gate"))
    # Reading YAML and writing a synced file for each of thousands of commands would measure PyYAML and the disk.
    fields = yaml.safe_load(CONFIG)
    flags = {"device": fields["device"], "bundle": "b", "cameras": fields["cameras"], "mqtt.url": "mqtt://broker"}
    made.settings._source = ConfigSource(None, {**flags, "commands": fields["commands"]}, environment={})
    made.steering._runner._memory._path = None
    made.beginning.file._path = None
    yield made
    logging.getLogger().setLevel(level)


def _derived(document: dict[str, Any], seed: int) -> Iterator[bytes]:
    """Yield documents like this one that no decent sender sends."""
    text = json.dumps(document).encode()
    yield text
    for number in range(OF_EACH - 1):
        pick = (seed * 7919 + number * 104729) % (1 << 30)
        kind = number % 4
        if kind == 0:
            yield text[: pick % max(1, len(text))]
        elif kind == 1:
            at = pick % len(text)
            yield text[:at] + bytes([(pick >> 8) % 256]) + text[at + 1 :]
        else:
            name = sorted(document)[pick % len(document)]
            changed = {key: value for key, value in document.items() if key != name}
            if kind == 3:
                changed[name] = ODD[(pick >> 4) % len(ODD)]
            yield json.dumps(changed).encode()


def _stamp(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


@_made(COMMANDS)
@given(arguments=OBJECTS, verb=st.sampled_from(VERBS), number=st.integers(0, 2**31), late=st.booleans())
def test_malformed_commands(bench: Bench, arguments: dict[str, Any], verb: str, number: int, late: bool) -> None:
    border, runner = bench.steering._border, bench.steering._runner
    document = {
        "schema": "cmd/1", "node": "local.gate", "at": _stamp(0), "id": f"c{number}", "verb": verb,
        "arguments": arguments, "deadline": _stamp(-5 if late else 60),
    }  # fmt: skip
    for payload in _derived(document, number):
        before, broken = border.counts(), runner.counts().get("broken", 0)
        bench.say(COMMAND, payload)
        bench.run()
        after = border.counts()
        assert sum(after.values()) == sum(before.values()) + 1, "each is counted, once"
        taken = after.get("commands", 0) - before.get("commands", 0)
        answers = bench.replies()
        assert bool(answers) == bool(taken), "each is answered"
        assert all(one.code != "failed" for one in answers), answers
        assert runner.counts().get("broken", 0) == broken == 0
        bench.restarts.clear()
    assert bench.inbox.counts()["failed"] == 0


@_made(STATES)
@given(state=OBJECTS, number=st.integers(0, 2**31))
def test_malformed_desired_states(bench: Bench, state: dict[str, Any], number: int) -> None:
    bench.beginning.file.write(bench.beginning.file.now.but(version=0))
    document = {"schema": "desired/1", "node": "local.gate", "at": _stamp(0), "version": number + 1, "state": state}
    border = bench.steering._border
    for payload in _derived(document, number):
        before = sum(border.counts().values())
        bench.say(DESIRED, payload, retained=True)
        bench.run()
        assert sum(border.counts().values()) == before + 1
        report = bench.beginning.file.now.report
        assert set(report.applied) <= {"config", "bundle", "log_level", "paused_cameras"}
        assert not bench.restarts
    assert bench.inbox.counts()["failed"] == 0


@_made(SETTINGS)
@given(values=st.dictionaries(FIELDS, VALUES, min_size=1, max_size=3))
def test_malformed_settings_change_nothing(bench: Bench, values: dict[str, Any]) -> None:
    refused = 0
    for number in range(OF_EACH):
        names = sorted(values)
        name = names[number % len(names)]
        tried = {**values, name: ODD[number % len(ODD)]} if number else values
        before = (bench.config, bench.beginning.file.now.layer)
        try:
            told = bench.settings.set(tried)
        except EdgeError as error:
            assert (bench.config, bench.beginning.file.now.layer) == before, "refused, and yet changed"
            refused += bool(error.message)
        else:
            assert set(told) <= {"changed", "trial_s", "persistent"}
            refused += 1
    assert refused == OF_EACH


def test_what_hypothesis_made_is_ten_thousand() -> None:
    assert (COMMANDS + STATES + SETTINGS) * OF_EACH >= 10_000


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
