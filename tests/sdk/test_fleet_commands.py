"""A command as people write it."""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk.fleet.command_sender import new_command
from edgesdk.fleet.command_words import arguments_from
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node


@pytest.mark.parametrize(
    ("verb", "words", "arguments"),
    [
        ("pause", ["door"], {"camera": "door"}),
        ("pause", ["camera=0"], {"camera": "0"}),
        ("logs", ["20"], {"count": 20}),
        ("logs", ["count=20", "level=warning"], {"count": 20, "level": "warning"}),
        ("restart", [], {}),
        ("set", ["telemetry.interval_s=5", "target=rpi5"], {"values": {"telemetry.interval_s": 5, "target": "rpi5"}}),
        ("set", ["telemetry.interval_s="], {"values": {"telemetry.interval_s": None}}),
        ("set", ["a=[1, x]"], {"values": {"a": [1, "x"]}}),
    ],
)
def test_words_are_arguments(verb: str, words: list[str], arguments: dict[str, Any]) -> None:
    assert arguments_from(verb, words) == arguments


def test_a_restart_travels_beside_the_fields() -> None:
    assert arguments_from("set", ["a.b=1"], restart=True) == {"values": {"a.b": 1}, "restart": True}


@pytest.mark.parametrize(
    ("verb", "words"), [("restart", ["now"]), ("pause", ["door", "yard"]), ("set", ["a"]), ("x", ["a=["])]
)
def test_what_is_no_argument_is_refused(verb: str, words: list[str]) -> None:
    with pytest.raises(InputError):
        arguments_from(verb, words)


def test_a_command_ends_with_its_deadline() -> None:
    command = new_command(Node("gate"), "birth", {}, command_id="a", within_s=30)
    assert (command.deadline - command.at).total_seconds() == 30
    with pytest.raises(ValueError, match="id"):
        new_command(Node("gate"), "birth", {}, command_id="no id", within_s=30)
