"""Who this agent says it is: device, model, cameras, and a hash that tells two configurations apart."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.field_path import field_path
from edgesdk_agent.config.loading import LoadedConfig, effective
from edgesdk_agent.config.overlay import Layer
from edgesdk_agent.link.presence import Identity
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_agent.update.was_launched import was_launched
from edgesdk_targets.chain import Chain
from edgesdk_targets.enrolment import configuration_digest
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import BundleName, CameraName, DesiredReport
from edgesdk_targets.model import Model
from edgesdk_targets.yaml_file import load_yaml


def identity_of(
    loaded: LoadedConfig,
    version: str,
    model: Model | Chain,
    cameras: Mapping[str, Camera],
    policies: Mapping[str, Policy],
    desired: DesiredReport,
    *,
    file: str | Path | None = None,
    layer: Layer | None = None,
) -> Identity:
    """Return what birth and reported say.

    Args:
        version: of edgesdk.
        desired: what became of the desired state.
        file: the configuration's own, if there is one.
        layer: what was set from afar.
    """
    return Identity(
        node=loaded.config.device.node,
        agent_version=version,
        agent_digest=_agent_digest(),
        target=model.variant.target,
        variant=model.variant.id,
        runtime=model.runtime.value,
        bundle=BundleName(name=model.manifest.name, version=model.manifest.version, digest=model.digest),
        desired=desired,
        cameras=camera_names(cameras, policies),
        hardware=hardware(file, layer),
        config_hash=config_hash(loaded),
    )


def _agent_digest() -> str:
    if not was_launched():
        return ""
    from edgesdk_agent.update.environment.running_agent import running_agent

    return running_agent()


def hardware(file: str | Path | None, layer: Layer | None = None) -> dict[str, str]:
    """Return facts about the machine, and what tells its configuration from the one that the fleet wants."""
    facts = {"machine": platform.machine(), "system": platform.system(), "python": platform.python_version()}
    # The file may be gone or half edited by now; what was read of it is in effect all the same.
    with contextlib.suppress(InputError):
        written = None if file is None else load_yaml(file).data
        if isinstance(written, dict):
            if layer is not None:
                lay_over(written, {path: value for path, (value, _) in layer.values().items()})
            facts["configuration"] = configuration_digest(written)
    return facts


def lay_over(document: dict[str, JsonValue], values: Mapping[str, JsonValue]) -> None:
    """Write values by dotted path into a document, as far as it has a place for them."""
    for text, value in values.items():
        *way, last = field_path(text)
        found: Any = document
        for step in way:
            if isinstance(found, dict):
                found = found.setdefault(str(step), {})
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
        if isinstance(found, dict):
            found[str(last)] = value
        elif isinstance(found, list) and isinstance(last, int) and last < len(found):
            found[last] = value


def camera_names(cameras: Mapping[str, Camera], policies: Mapping[str, Policy]) -> tuple[CameraName, ...]:
    """Return what birth says of the cameras; of one that was never opened it cannot say how it is decoded."""
    return tuple(
        CameraName(name=name, source=camera.info.description, mode=policies[name], decoder=camera.info.decoder)
        for name, camera in cameras.items()
    )


def config_hash(loaded: LoadedConfig) -> str:
    """Hash what the configuration says, without its secrets."""
    lines = "\n".join(f"{line.path}={line.value}" for line in effective(loaded))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
