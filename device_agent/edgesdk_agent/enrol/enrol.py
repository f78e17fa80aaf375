"""From a token to a device that is ready to run: identity, bundle, configuration, in this order.

Each step can be done again. What was lost on its way (an answer, a download) is asked for again by running the same line
once more, as long as the token holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk_agent.enrol.device_key import DeviceKey
from edgesdk_agent.enrol.fleet_server import ClaimRefused, FleetServer, Holder
from edgesdk_agent.enrol.identity_files import IdentityFiles
from edgesdk_targets.enrolment import Claimed
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole
from edgesdk_targets.yaml_file import dump_yaml


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie on the device.

    Attributes:
        config: edgesdk.yaml.
        state: holds identity, bundles, and what the agent keeps; a service's own folder, which systemd tells it.
        is_service: whether systemd gives the agent its folders.
    """

    config: Path
    state: Path
    is_service: bool

    @classmethod
    def of_service(cls, user: str) -> Places:
        return cls(Path("/etc/edgesdk/edgesdk.yaml"), Path("/var/lib") / user, is_service=True)

    @classmethod
    def below(cls, home: Path) -> Places:
        return cls(home / "edgesdk.yaml", home, is_service=False)

    @property
    def identity(self) -> IdentityFiles:
        return IdentityFiles(self.state / "identity")

    @property
    def bundles(self) -> Path:
        return self.state / "bundles"


def enrol(
    server: str,
    token: str,
    places: Places,
    *,
    ca_sha256: str = "",
    again: bool = False,
    said: Callable[[str], None] = lambda _: None,
) -> Claimed:
    """Make this device one of a fleet.

    Args:
        ca_sha256: of the fleet's authority; without it the service's certificate must be one that the system trusts.
        again: replace an identity that is there.
        said: is told of each step.

    Raises:
        InputError: there is an identity already, or a place cannot be written.
        ClaimRefused: the fleet says no.
        FetchFailed: the fleet does not answer.
    """
    files = places.identity
    if files.exists() and not again:
        raise InputError(
            f"This device is {files.facts().node} already.",
            hint="Say --again to make it another one, with a new token.",
        )
    fleet, authority = FleetServer.pinned(server, ca_sha256) if ca_sha256 else (FleetServer(server), "")
    begun = files.claiming()
    key = DeviceKey(begun)
    if begun is None:
        files.begin_claim(key.pem)
    claimed = fleet.claim(token, key)
    _check(claimed, key, authority)
    said(f"this device is {claimed.node}")
    if claimed.bundle is not None:
        said(f"fetching {claimed.bundle.name}")
        fleet.fetch(claimed.bundle, Holder(key, claimed.certificate), places.bundles / claimed.bundle.name)
    _write_config(places, claimed)
    # Last: until the identity stands, the same line may be run again.
    files.keep(key.pem, claimed, server=fleet.url, pinned=bool(ca_sha256))
    return claimed


def configuration(claimed: Claimed, places: Places) -> dict[str, Any]:
    """Return the whole of edgesdk.yaml: what the fleet said, and what only the device knows."""
    node, files = Node.parse(claimed.node), places.identity
    document: dict[str, Any] = {"device": {"name": node.device, "tenant": node.tenant}, **claimed.configuration}
    if claimed.bundle is not None:
        document["bundle"] = str(places.bundles / claimed.bundle.name)
    mine = {"url": claimed.broker, "ca": str(files.ca), "cert": str(files.device)}
    document["mqtt"] = {**_section(document, "mqtt"), **mine}
    if not places.is_service:
        document["outbox"] = {"path": str(places.state / "outbox.db"), **_section(document, "outbox")}
    return document


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _write_config(places: Places, claimed: Claimed) -> None:
    text = "# Written by `edgesdk agent enrol`; the fleet's template says what it holds.\n"
    # A camera's address may hold its password: nobody but the agent reads this.
    write_whole(places.config, (text + dump_yaml(configuration(claimed, places))).encode(), OWNER_ONLY)


def _check(claimed: Claimed, key: DeviceKey, authority: str) -> None:
    if not key.belongs_to(claimed.certificate):
        raise ClaimRefused("The fleet sent a certificate for another key.", hint="Ask the fleet's operator.")
    if authority and claimed.authority.strip() != authority.strip():
        raise ClaimRefused("The fleet names another authority than the one that was pinned.", hint="Do not go on.")


def give_to(user_id: int, group_id: int, places: Places) -> None:
    """Let the service's own user read what was written for it, and nobody else."""
    for path in (places.identity.folder, *places.identity.folder.iterdir(), places.bundles, *_files(places.bundles)):
        if path.exists():
            os.chown(path, user_id, group_id, follow_symlinks=False)
    os.chown(places.config, 0, group_id)
    places.config.chmod(0o640)
    places.state.chmod(0o750)
    os.chown(places.state, user_id, group_id)


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
