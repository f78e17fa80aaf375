"""Who this agent says it is: device, model, cameras, and a hash that tells two configurations apart."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.loading import LoadedConfig, effective
from edgesdk_agent.link.presence import Identity
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_targets.chain import Chain
from edgesdk_targets.messages import BundleName, CameraName, DesiredReport
from edgesdk_targets.model import Model


def identity_of(
    loaded: LoadedConfig,
    version: str,
    model: Model | Chain,
    cameras: Mapping[str, Camera],
    policies: Mapping[str, Policy],
    desired: DesiredReport,
) -> Identity:
    """Return what birth and reported say; `version` is of edgesdk, `desired` what became of the desired state."""
    return Identity(
        node=loaded.config.device.node,
        agent_version=version,
        target=model.variant.target,
        variant=model.variant.id,
        runtime=model.runtime.value,
        bundle=BundleName(name=model.manifest.name, version=model.manifest.version, digest=model.digest),
        desired=desired,
        cameras=camera_names(cameras, policies),
        hardware={"machine": platform.machine(), "system": platform.system(), "python": platform.python_version()},
        config_hash=config_hash(loaded),
    )


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
