"""Settings from several places, the stronger over the weaker, each remembering where it came from.

A setting is a leaf of the tree of sections and lists: `mqtt.url`, `cameras[0].source`. A stronger place that gives a
whole section or list at once replaces all of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.config.field_path import field_path
from edgesdk_agent.config.proposal import check_proposable
from edgesdk_targets.bounded_file import read_bounded
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import FieldPath, closest, dotted
from edgesdk_targets.yaml_file import YamlDocument, parse_yaml

PREFIX = "EDGESDK_"
_REFERENCE = re.compile(r"\$\{(env|file):([^}]*)\}")
_ANY_REFERENCE = re.compile(r"\$\{[^}]*\}")
_MAX_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from.

    Attributes:
        value: with its references to secrets, as written.
        origin: for people: `edgesdk.yaml:12`, `environment EDGESDK_MQTT__URL`, `flag`, `default`.
        base: what relative paths are relative to; None for the working directory.
    """

    value: object
    origin: str
    base: Path | None = None


Settings = dict[FieldPath, Setting]
# What one place says: each value as it was given, by the path where it stands, taken apart into its leaves.
Layer = list[tuple[FieldPath, Settings]]


def from_file(document: YamlDocument, base: Path) -> Layer:
    """Return the settings of a configuration file."""
    data = {} if document.data is None else document.data
    return [((), {path: Setting(value, document.where(path), base) for path, value in leaves(data)})]


def from_bundle(data: dict[str, object], name: str) -> Settings:
    """Return the settings that a bundle proposes.

    Raises:
        InputError: a field is not for a bundle to say.
    """
    settings = {path: Setting(value, name) for path, value in leaves(data)}
    for path, setting in settings.items():
        check_proposable(path, name)
        if isinstance(setting.value, str) and "${" in setting.value:
            raise InputError(f"{name}: field {dotted(path)}: asks for a secret.", hint="Do not use this bundle.")
    return settings


def from_flags(flags: Mapping[str, object]) -> Layer:
    """Return the settings of flags, named by dotted paths (`mqtt.url`); None stands for a flag that was not given."""
    given = {tuple(name.split(".")): value for name, value in flags.items() if value is not None}
    return [_given(path, value, f"flag {dotted(path)}") for path, value in given.items()]


def from_overlay(values: Mapping[str, tuple[object, str]]) -> Layer:
    """Return the settings that were made from afar.

    Raises:
        InputError: a name is no path of a field.
    """
    return [_given(field_path(path), value, origin) for path, (value, origin) in values.items()]


def from_environment(environment: Mapping[str, str], sections: Collection[str]) -> Layer:
    """Return the settings of `EDGESDK_SECTION__FIELD` variables.

    Args:
        environment: all variables; other names are left alone.
        sections: the known top-level fields.

    Raises:
        InputError: a variable of this form names no known section.
    """
    layer: Layer = []
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX):
            continue
        parts = name[len(PREFIX) :].lower().split("__")
        if parts[0] not in sections:
            # EDGESDK_ASSETS and the like belong to others; with a double underscore it can only be a mistake.
            if len(parts) > 1:
                raise _unknown_variable(name, parts[0], sorted(sections))
            continue
        path: FieldPath = tuple(int(part) if part.isdigit() else part for part in parts)
        value: object = text
        if text[:1] in ("[", "{"):
            value = parse_yaml(text, source=f"environment {name}").data
        layer.append(_given(path, value, f"environment {name}"))
    return layer


def merged(*layers: Layer) -> Settings:
    """Lay settings over each other, the weakest first."""
    result: Settings = {}
    for layer in layers:
        for root, settings in layer:
            for known in list(result):
                if _within(known, root) or _within(root, known):
                    del result[known]
            result.update(settings)
    return result


def underlaid(settings: Settings, below: Settings) -> Settings:
    """Lay weaker settings below others: each field of them that nobody else gives, nor a part of it."""
    free = {
        path: setting
        for path, setting in below.items()
        if not any(_within(path, known) or _within(known, path) for known in settings)
    }
    return {**free, **settings}


def leaves(value: object, path: FieldPath = ()) -> Iterator[tuple[FieldPath, object]]:
    """Yield each value that is no section or list; nothing for null, which means "not given"."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    elif value is not None and (path or value != {}):
        yield path, value


def tree(values: Mapping[FieldPath, object]) -> object:
    """Put leaves together to sections and lists again."""
    if list(values) == [()]:
        return values[()]
    branches: dict[str | int, dict[FieldPath, object]] = {}
    for path, value in values.items():
        branches.setdefault(path[0], {})[path[1:]] = value
    if branches and all(isinstance(key, int) for key in branches):
        return [tree(branches[key]) for key in sorted(branches, key=int)]
    return {str(key): tree(branch) for key, branch in branches.items()}


def resolved(path: FieldPath, setting: Setting, environment: Mapping[str, str]) -> object:
    """Return a setting's value with `${env:NAME}` and `${file:PATH}` replaced.

    Raises:
        InputError: a reference is of another form, or what it names is not there; the secret is never shown.
    """
    if not isinstance(setting.value, str) or "${" not in setting.value:
        return setting.value
    where = f"{setting.origin}: field {dotted(path)}"
    unknown = next((m[0] for m in _ANY_REFERENCE.finditer(setting.value) if not _REFERENCE.fullmatch(m[0])), None)
    if unknown is not None:
        raise InputError(f"{where}: unknown reference {unknown}.", hint="Write ${env:NAME} or ${file:PATH}.")

    def secret(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "env":
            if name not in environment:
                raise InputError(f"{where}: the environment has no {name}.", hint=f"Set it: export {name}=…")
            return environment[name]
        return _secret_file(where, (setting.base or Path()) / name)

    return _REFERENCE.sub(secret, setting.value)


def _secret_file(where: str, path: Path) -> str:
    name, only = f"{where}: {path}", "Give a file with only the secret."
    raw = read_bounded(path, _MAX_SECRET_BYTES, name=name, hint="Correct path or rights.", larger=only)
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not text in UTF-8.", hint=only) from error


def _given(root: FieldPath, value: object, origin: str) -> tuple[FieldPath, Settings]:
    return root, {root + rest: Setting(leaf, origin) for rest, leaf in leaves(value)}


def _within(inner: FieldPath, outer: FieldPath) -> bool:
    return inner[: len(outer)] == outer


def _unknown_variable(name: str, section: str, known: list[str]) -> InputError:
    meant = closest(section, known)
    hint = f"Did you mean {PREFIX}{name[len(PREFIX) :].replace(section.upper(), meant.upper(), 1)}?" if meant else ""
    return InputError(
        f"environment {name}: there is no section {section!r}.", hint=hint or f"One of {', '.join(known)}."
    )
