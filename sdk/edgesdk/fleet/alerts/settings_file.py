"""Rules, channels and silences in one YAML file, so that they can be reviewed and kept like code.

channels: {ops: {kind: webhook, url: https://…, secret: ${env:HOOK}}}
rules: [{name: away, kind: offline_for, limit: 300}]
silences: [{weekly: {start: "22:00", end: "06:00"}, scope: {sites: [berlin]}}]
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from edgesdk.fleet.alerts.channel_settings import Seal, sealed_settings
from edgesdk.fleet.alerts.rule import Rule, rule_from_json
from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.store import alert_rules
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems
from edgesdk_targets.yaml_file import load_yaml

_SECTIONS = ("channels", "rules", "silences")
_FROM = re.compile(r"\$\{(env|file):([^}]+)\}")


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What a file says; channels by name, as kind and settings, with their secrets in the open."""

    channels: Mapping[str, tuple[str, dict[str, Any]]]
    rules: tuple[Rule, ...]
    silences: tuple[Silence, ...]


def read_settings(path: Path) -> AlertSettings:
    """Read the file.

    Raises:
        InputError: a section, a rule, a channel or a silence is not one; a rule tells a channel that is not there.
    """
    data = load_yaml(path).data
    if not isinstance(data, dict) or set(data) - set(_SECTIONS):
        unknown = ", ".join(sorted(set(data) - set(_SECTIONS))) if isinstance(data, dict) else "no mapping"
        raise InputError(f"{path}: {unknown} is not known.", hint=f"Sections are {', '.join(_SECTIONS)}.")
    rules = tuple(rule_from_json(one) for one in _list(data, "rules", path))
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise InputError(f"{path}: two rules have one name.", hint="Rename one of them.")
    return AlertSettings(
        _channels(data.get("channels") or {}, path), rules, tuple(map(_silence, _list(data, "silences", path)))
    )


def apply_settings(connection: Connection, found: AlertSettings, seal: Seal, actor: str, now_ms: int) -> dict[str, int]:
    """Write what a file says into the store, whole or not at all; return how many of each.

    What is there and not in the file stays, but for silences: those of the same reason and scope are not doubled.

    Raises:
        InputError: a channel cannot be used, or a rule tells one that is neither in the file nor in the store.
    """
    before = {one.name: one for one in alert_rules.list_channels(connection)}
    for name, (kind, settings) in found.channels.items():
        old = before.get(name)
        kept = old.settings if old is not None and old.kind == kind else None
        alert_rules.put_channel(connection, name, kind, sealed_settings(kind, settings, seal, before=kept), now_ms)
    known = {*before, *found.channels}
    for rule in found.rules:
        missing = next((name for name in rule.channels if name not in known), None)
        if missing is not None:
            raise InputError(
                f"The rule {rule.name} tells {missing!r}, which is no channel.", hint="Add it under `channels`."
            )
        alert_rules.put_rule(connection, rule, actor, now_ms)
    there = [_same(one) for one in alert_rules.list_silences(connection, now_ms).values()]
    new = [one for one in found.silences if _same(one) not in there]
    for silence in new:
        alert_rules.add_silence(connection, silence, actor, now_ms)
    return {"channels": len(found.channels), "rules": len(found.rules), "silences": len(new)}


def _same(silence: Silence) -> str:
    return silence.model_dump_json(include={"scope", "rules", "weekly", "until", "reason"})


def _channels(data: object, path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    if not isinstance(data, dict):
        raise InputError(f"{path}: channels is no mapping.", hint="channels: {ops: {kind: webhook, url: https://…}}")
    found = {}
    for name, given in data.items():
        if not isinstance(given, dict) or not isinstance(given.get("kind"), str):
            raise InputError(f"{path}: the channel {name} has no kind.", hint="kind: webhook, email or mqtt")
        settings = {key: _filled(value) for key, value in given.items() if key != "kind"}
        found[str(name)] = (given["kind"], settings)
    return found


def _filled(value: object) -> object:
    """Fill in `${env:NAME}` and `${file:PATH}`, so that secrets stay out of the file."""
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        where, name = match.groups()
        try:
            return os.environ[name] if where == "env" else Path(name).read_text("utf-8").strip()
        except (KeyError, OSError) as error:
            raise InputError(
                f"{match[0]} cannot be filled in.", hint="Set the variable, or correct the path."
            ) from error

    return _FROM.sub(fill, value)


def _list(data: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    found = data.get(name) or []
    if not isinstance(found, list):
        raise InputError(f"{path}: {name} is no list.", hint="Begin each entry with a dash.")
    return found


def _silence(document: object) -> Silence:
    try:
        return Silence.model_validate(document)
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(Silence, error))
        raise InputError(
            f"The silence cannot be used: {told}", hint="docs/alerts.md says what a silence holds."
        ) from error
