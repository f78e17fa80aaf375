"""From `edgesdk.yaml`, the environment and flags to one frozen configuration, or to an error that names the field.

Flags win over the environment (`EDGESDK_MQTT__URL`), which wins over what was set from afar, which wins over the file,
which wins over what the bundle proposes, which wins over the defaults. Secrets
stay out of the file: `${env:NAME}` and `${file:PATH}` are filled in when it is read. Paths in the file are relative to
it; paths in flags and the environment to the working directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from edgesdk_agent.config.field_kinds import is_path, is_secret
from edgesdk_agent.config.mqtt import BROKER_HINT
from edgesdk_agent.config.origin import (
    Layer,
    Setting,
    Settings,
    from_bundle,
    from_environment,
    from_file,
    from_flags,
    from_overlay,
    leaves,
    merged,
    resolved,
    tree,
    underlaid,
)
from edgesdk_agent.config.proposal import proposal_of
from edgesdk_agent.config.root import AgentConfig
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import FieldPath, Problem, dotted, field_problems
from edgesdk_targets.secret_url import redact_text
from edgesdk_targets.yaml_file import SHOWN_PROBLEMS, load_yaml

_IS_URL_OR_DEVICE = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:|[0-9]+$)")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and where each value came from.

    Attributes:
        config: the checked values.
        settings: what was given, as written; what is absent is a default.
    """

    config: AgentConfig
    settings: Mapping[FieldPath, Setting]


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One line of `config show --effective`; the value holds no secret."""

    path: str
    value: str
    origin: str


def load_config(
    path: str | Path | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    no_mqtt: bool = False,
    overlay: Mapping[str, tuple[object, str]] | None = None,
) -> LoadedConfig:
    """Read and check the configuration.

    Args:
        path: the YAML file; None where flags and environment say everything.
        flags: by dotted path, e.g. `{"mqtt.url": …, "cameras": [{"name": …, "source": …}]}`; None means not given.
        environment: `os.environ` unless given.
        no_mqtt: the agent works without a broker.
        overlay: what was set from afar, by dotted path, and where each value comes from: over the file, below the rest.

    Raises:
        InputError: a file, a value or a secret is missing or wrong, or no broker is set; every line of the message
            names the place and the field.
    """
    environment = os.environ if environment is None else environment
    layers = [from_environment(environment, AgentConfig.model_fields.keys()), from_flags(flags or {})]
    if overlay:
        layers.insert(0, from_overlay(overlay))
    if path is not None:
        document = load_yaml(path)
        if document.data is not None and not isinstance(document.data, dict):
            raise InputError(f"{document.where(())}: must be fields with values.", hint="Write `name: value`.")
        layers.insert(0, from_file(document, Path(path).resolve().parent))
    settings = _with_proposal(layers, environment)
    values = {p: _anchored(p, s, resolved(p, s, environment)) for p, s in settings.items()}
    try:
        config = AgentConfig.model_validate(tree(values) if values else {})
    except ValidationError as error:
        raise _refusal(field_problems(AgentConfig, error), settings, path) from error
    if config.mqtt.url is None and not no_mqtt:
        raise InputError("No broker is set.", hint=BROKER_HINT)
    return LoadedConfig(config, settings)


def config_schema() -> dict[str, object]:
    """Return the JSON Schema of `edgesdk.yaml`."""
    return AgentConfig.model_json_schema()


def effective(loaded: LoadedConfig) -> list[EffectiveValue]:
    """List every value of the configuration with its origin, secrets hidden."""
    lines = []
    for path, value in leaves(_plain(loaded.config)):
        setting = loaded.settings.get(path)
        shown = str(value) if setting is None or "${" not in str(setting.value) else str(setting.value)
        if is_secret(path) and "${" not in shown:
            shown = "***"
        origin = "default" if setting is None else setting.origin
        lines.append(EffectiveValue(dotted(path), redact_text(shown), origin))
    return lines


def _with_proposal(layers: list[Layer], environment: Mapping[str, str]) -> Settings:
    """Lay what the bundle proposes below everything else."""
    settings, path = merged(*layers), ("bundle",)
    if path not in settings:
        return settings
    bundle = _anchored(path, settings[path], resolved(path, settings[path], environment))
    if not isinstance(bundle, str) or not _is_there(bundle):
        return settings
    proposal, name = proposal_of(Path(bundle))
    if not isinstance(proposal, dict):
        return settings
    return underlaid(settings, from_bundle(proposal, name))


def _anchored(path: FieldPath, setting: Setting, value: object) -> object:
    """Make a relative path of the file absolute, from the file's folder."""
    if setting.base is None or not isinstance(value, str):
        return value
    is_source = path[0] == "cameras" and path[-1] == "source" and not _IS_URL_OR_DEVICE.match(value)
    # A source is a path only if something is there: other sources have names of their own.
    if is_path(path) or (is_source and _is_there(setting.base / value)):
        return str(setting.base / value)
    return value


def _is_there(path: str | Path) -> bool:
    # Unlike `Path.exists` it answers for what no file can be called, such as the long address of a camera.
    return os.path.exists(path)  # noqa: PTH110


def _refusal(problems: list[Problem], settings: Settings, path: str | Path | None) -> InputError:
    lines = [f"{_origin(p.path, settings, path)}: field {dotted(p.path)}: {p.message}" for p in problems]
    if len(lines) > SHOWN_PROBLEMS:
        lines[SHOWN_PROBLEMS:] = [f"… and {len(lines) - SHOWN_PROBLEMS} more"]
    hint = next(
        (p.hint for p in problems if p.hint), "Correct it and try again; docs/configuration.md lists all fields."
    )
    return InputError("\n".join(lines), hint=hint)


def _origin(path: FieldPath, settings: Settings, file: str | Path | None) -> str:
    """Say where a wrong field is: its own place, else that of the first field beside or below it."""
    for length in range(len(path), 0, -1):
        for known, setting in settings.items():
            if known[:length] == path[:length]:
                return setting.origin
    return "configuration" if file is None else str(file)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None:
        return "(not set)"
    return "***" if isinstance(value, SecretStr) else value
