"""Open and write a release of the agent, and open what may be either that or a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk_targets.agent_release.manifest import AGENT_SCHEMA_NAME, AgentManifest
from edgesdk_targets.bundle.archive import Archive, Limits, pack
from edgesdk_targets.bundle.bundle import read_bundle
from edgesdk_targets.bundle.package import MANIFEST, Package, open_package
from edgesdk_targets.whole_file import write_whole

AGENT_SUFFIX = ".edgeagent"
Kind = Literal["bundle", "agent"]


@dataclass(frozen=True, slots=True)
class AgentRelease(Package):
    """An opened release of the agent whose files were all checked against the manifest."""

    manifest: AgentManifest


def open_agent_release(
    path: str | Path, limits: Limits | None = None, *, accept: Callable[[str, bytes | None], object] | None = None
) -> AgentRelease:
    """Open a release of the agent, and check all of it; `accept` and what is raised as for `open_bundle`."""
    return open_package(path, limits, accept, _read)


def open_release(
    path: str | Path, limits: Limits | None = None, *, accept: Callable[[str, bytes | None], object] | None = None
) -> Package:
    """Open a bundle or a release of the agent, whichever it is, and check all of it; see `open_bundle`."""
    return open_package(path, limits, accept, _read_either)


def kind_of(package: Package) -> Kind:
    """Say which of the two an opened package is."""
    return "agent" if isinstance(package, AgentRelease) else "bundle"


def write_agent_release(path: Path, manifest: AgentManifest, files: Mapping[str, bytes]) -> None:
    """Write a release, whole or not at all.

    Args:
        files: path in the release → content; the manifest lists them.

    Raises:
        NoSpace, InputError: it cannot be written.
    """
    write_whole(path, pack({MANIFEST: manifest.to_bytes(), **files}))


def _read(path: Path, manifest: bytes, digest: str, archive: Archive) -> AgentRelease:
    return AgentRelease(path, AgentManifest.from_bytes(manifest), digest, archive)


def _read_either(path: Path, manifest: bytes, digest: str, archive: Archive) -> Package:
    try:
        raw = json.loads(manifest)
    except (ValueError, RecursionError):
        raw = None  # which a bundle's own reader says in words
    is_agent = isinstance(raw, dict) and str(raw.get("schema", "")).startswith(AGENT_SCHEMA_NAME)
    return (_read if is_agent else read_bundle)(path, manifest, digest, archive)
