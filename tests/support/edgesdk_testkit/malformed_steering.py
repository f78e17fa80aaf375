"""Malformed commands, desired states, settings, configurations and payloads by the thousand: each is refused or counted.

Hypothesis makes documents; of each some dozens are derived: cut off, with bytes changed, with a field gone or of another
kind. All go in where such things come in, and through everything behind it up to the answer. Anything but a refusal, an
answer or a count is an AssertionError, or whatever was raised.
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from edgesdk_agent.config.loading import effective, load_config
from edgesdk_agent.config.source import ConfigSource
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.messages import decode
from edgesdk_testkit.malformed import damaged, messages
from edgesdk_testkit.steered import CONFIG, Bench

COMMAND = "edgesdk/1/local.gate/down/cmd"
DESIRED = "edgesdk/1/local.gate/down/desired"
VERBS = (
    "set", "pause", "resume", "log-level", "logs", "bundle", "birth", "reload", "restart", "snapshat", "", "é" * 300,
)  # fmt: skip
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
GOOD_SETTINGS = ({"telemetry.interval_s": 7}, {"telemetry": {"interval_s": 8}, "pipeline.threads": 2})
# Of each document of hypothesis, which are slow to make, so many.
OF_EACH = 60

Found = Counter[str]


def bench_without_disk(folder: Path) -> Bench:
    """Return a device to steer that reads no YAML and syncs no file for each of thousands of commands."""
    made = Bench(folder)
    fields = yaml.safe_load(CONFIG)
    # The same configuration, or every change would need a restart.
    commands = {**fields["commands"], "state": str(folder / "state"), "bundles": str(folder / "bundles")}
    flags = {"device": fields["device"], "bundle": str(folder / "digits.edgebundle"), "mqtt.url": "mqtt://broker"}
    flags |= {"cameras": fields["cameras"], "commands": commands}
    made.settings._source = ConfigSource(None, flags, environment={})
    made.steering._runner._memory._path = None
    made.beginning.file._path = None
    return made


def malformed(kind: str, count: int, folder: Path, *, start: int = 5) -> Found:
    """Try so many of a kind, and return what became of them.

    Args:
        kind: one of `KINDS`.
        folder: to work in.
        start: another one makes other documents.
    """
    found: Found = Counter()
    level = logging.getLogger().level
    try:
        KINDS[kind](folder, found, settings(
            max_examples=-(-count // OF_EACH), deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        ), seed(start))  # fmt: skip
    finally:
        logging.getLogger().setLevel(level)
    return found


def _commands(folder: Path, found: Found, made: settings, start: Callable[..., Any]) -> None:
    bench = bench_without_disk(folder)
    border, runner = bench.steering._border, bench.steering._runner

    @start
    @made
    @given(arguments=OBJECTS, verb=st.sampled_from(VERBS), number=st.integers(0, 2**31), late=st.booleans())
    def send(arguments: dict[str, Any], verb: str, number: int, late: bool) -> None:
        document = {
            "schema": "cmd/1", "node": "local.gate", "at": _stamp(0), "id": f"c{number}", "verb": verb,
            "arguments": arguments, "deadline": _stamp(-5 if late else 60),
        }  # fmt: skip
        for payload in _derived(document, number, "arguments"):
            before = border.counts()
            bench.say(COMMAND, payload)
            bench.run()
            after = border.counts()
            assert sum(after.values()) == sum(before.values()) + 1, "each is counted, once"
            taken = after.get("commands", 0) - before.get("commands", 0)
            answers = bench.replies()
            assert bool(answers) == bool(taken), "each is answered"
            assert all(one.code != "failed" for one in answers), answers
            assert not runner.counts().get("broken")
            found["malformed" if not taken else "done" if answers[-1].ok else "refused"] += 1
            bench.restarts.clear()

    send()
    assert bench.inbox.counts()["failed"] == 0


def _states(folder: Path, found: Found, made: settings, start: Callable[..., Any]) -> None:
    bench = bench_without_disk(folder)
    border = bench.steering._border

    @start
    @made
    @given(state=OBJECTS, number=st.integers(0, 2**31))
    def retain(state: dict[str, Any], number: int) -> None:
        bench.beginning.file.write(bench.beginning.file.now.but(version=0))
        document = {"schema": "desired/1", "node": "local.gate", "at": _stamp(0), "version": number + 1, "state": state}
        for payload in _derived(document, number, "state"):
            before = border.counts()
            bench.say(DESIRED, payload, retained=True)
            bench.run()
            after = border.counts()
            assert sum(after.values()) == sum(before.values()) + 1
            report = bench.beginning.file.now.report
            assert set(report.applied) <= {"config", "bundle", "log_level", "paused_cameras"}
            assert not bench.restarts
            taken = after.get("desired", 0) > before.get("desired", 0)
            found["malformed" if not taken else "refused" if report.refused else "taken"] += 1

    retain()
    assert bench.inbox.counts()["failed"] == 0


def _settings(folder: Path, found: Found, made: settings, start: Callable[..., Any]) -> None:
    bench = bench_without_disk(folder)

    @start
    @made
    @given(values=st.dictionaries(FIELDS, VALUES, min_size=1, max_size=3) | st.sampled_from(GOOD_SETTINGS))
    def set_(values: dict[str, Any]) -> None:
        names = sorted(values)
        for number in range(OF_EACH):
            name = names[number % len(names)]
            tried = {**values, name: ODD[number % len(ODD)]} if number else values
            before = (bench.config, bench.beginning.file.now.layer)
            try:
                told = bench.settings.set(tried)
            except EdgeError as error:
                _explained(error)
                _unchanged(before, (bench.config, bench.beginning.file.now.layer))
                found["refused"] += 1
            else:
                assert set(told) <= {"changed", "trial_s", "persistent"}
                found["changed" if told["changed"] else "nothing new"] += 1

    set_()


def _configurations(folder: Path, found: Found, made: settings, start: Callable[..., Any]) -> None:
    file, whole = folder / "malformed.yaml", yaml.safe_load(CONFIG)
    whole |= {"telemetry": {"interval_s": 5}, "governor": {"ladder": [{"rate": 0.5}]}, "hooks": [{"call": "a:b"}]}

    @start
    @made
    @given(other=OBJECTS, section=st.sampled_from(sorted(whole)), value=VALUES, number=st.integers(0, 2**31))
    def load(other: dict[str, Any], section: str, value: Any, number: int) -> None:
        # Every second one begins as a good one.
        for payload in _derived(whole if number % 2 else {**whole, **other, section: value}, number):
            file.write_bytes(payload)
            try:
                loaded = load_config(file, environment={})
            except InputError as error:
                _explained(error)
                found["refused"] += 1
            else:
                effective(loaded)
                found["loaded"] += 1

    load()


def _payloads(_folder: Path, found: Found, made: settings, start: Callable[..., Any]) -> None:
    @start
    @made
    @given(messages(), st.integers(0, 1 << 32))
    def read(message: tuple[str, Any], number: int) -> None:
        channel, body = message
        chance = random.Random(number)
        for payload in (body.payload, *(damaged(body.payload, chance) for _ in range(OF_EACH - 1))):
            try:
                decode(f"edgesdk/1/local.cam1/up/{channel}", payload, body.content_type)
            except InputError as error:
                _explained(error)
                found["refused"] += 1
            else:
                found["read"] += 1

    read()


KINDS: dict[str, Callable[[Path, Found, settings, Callable[..., Any]], None]] = {
    "commands": _commands,
    "desired states": _states,
    "settings": _settings,
    "configurations": _configurations,
    "payloads": _payloads,
}


def _derived(document: dict[str, Any], number: int, within: str = "") -> Iterator[bytes]:
    """Yield documents like this one that no decent sender sends.

    Args:
        within: a field whose content is changed as well, so that the rest gets past the first check.
    """
    text = json.dumps(document).encode()
    yield text
    for turn in range(OF_EACH - 1):
        pick = (number * 7919 + turn * 104729) % (1 << 30)
        odd = ODD[(pick >> 4) % len(ODD)]
        kind = turn % 6
        if kind == 0:
            yield text[: pick % max(1, len(text))]
        elif kind == 1:
            at = pick % len(text)
            yield text[:at] + bytes([(pick >> 8) % 256]) + text[at + 1 :]
        elif kind > 3 and within:
            inner = document[within]
            name = [*sorted(inner), "values", "config", "camera"][pick % (len(inner) + 3)]
            yield json.dumps({**document, **_new_id(document, turn), within: {**inner, name: odd}}).encode()
        else:
            name = sorted(document)[pick % len(document)]
            changed = {key: value for key, value in document.items() if key != name}
            yield json.dumps({**changed, name: odd} if kind % 2 else changed).encode()


def _new_id(document: dict[str, Any], turn: int) -> dict[str, str]:
    """Return another id for a command: one that comes again is only answered as the first was."""
    return {"id": f"{document['id']}-{turn}"} if "id" in document else {}


def _explained(error: EdgeError) -> None:
    assert error.message


def _unchanged(before: object, after: object) -> None:
    assert after == before, "refused, and yet changed"


def _stamp(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()
