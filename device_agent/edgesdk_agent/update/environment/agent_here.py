"""The environment on this device: how one is built and proven here, and whether this process runs by the one that it should."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from edgesdk_agent.update.environment.build import build_environment
from edgesdk_agent.update.environment.environments import Environments
from edgesdk_agent.update.environment.prove import check_fits, prove_environment
from edgesdk_agent.update.proving_child import ChildLimits
from edgesdk_agent.update.slot_content import SlotContent
from edgesdk_agent.update.staging import Build
from edgesdk_targets.agent_release.agent_release import open_agent_release


def build_in_children(target: str, variant: str, stopping: threading.Event) -> Build:
    """Return what builds and proves an environment on this device, in processes of their own.

    Args:
        target, variant: as they are configured, empty where not; stopping: ends it.
    """
    limits = ChildLimits()

    def build(file: Path, place: Path, bundle: Path) -> None:
        with open_agent_release(file) as release:
            check_fits(release.manifest)
            build_environment(release, place, limits=limits, stopping=stopping)
            prove_environment(
                release.manifest, place, bundle, target=target, variant=variant, limits=limits, stopping=stopping
            )

    return build


def not_in_environment(root: Path, content: SlotContent) -> str:
    """Say that this process does not run by its slot's environment; nothing where it does, or the slot names none."""
    if not content.environment:
        return ""
    place = Environments(root).place(content.environment)
    if Path(sys.prefix).resolve() == place.resolve():
        return ""
    return "its launcher knows nothing of agents in slots: run `edgesdk-agent install` again"
