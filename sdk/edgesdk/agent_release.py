"""Make a release of the agent out of a wheelhouse: its wheels and its lock, checked, with what a device must know of them."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgesdk_targets.agent_release.agent_release import AGENT_SUFFIX, write_agent_release
from edgesdk_targets.agent_release.lock import read_lock
from edgesdk_targets.agent_release.manifest import AGENT_NAME, LOCK, WHEELS, AgentManifest
from edgesdk_targets.bundle.package import file_entry
from edgesdk_targets.errors import BadBundle, InputError

_SETTINGS = "wheelhouse.env"
_SETTING = re.compile(r'([A-Z_]+)="([^"]*)"')
_OWN = "edgesdk"
_HINT = "Make the folder anew with scripts/wheelhouse."


@dataclass(frozen=True, slots=True)
class _Lock:
    """The lock's text, the version of edgesdk in it, and the sha256 of each wheel."""

    text: bytes
    version: str
    wheels: frozenset[str]


def release_from_wheelhouse(wheelhouse: Path, output: Path) -> Path:
    """Write a release, not signed yet, and return its path.

    Args:
        wheelhouse: a folder that `scripts/wheelhouse` wrote.
        output: of the file, or a folder for it.

    Raises:
        InputError: the folder is no wheelhouse, or not whole.
        NoSpace: the disk is full.
    """
    settings, lock = _settings(wheelhouse / _SETTINGS), _lock(wheelhouse / LOCK)
    found = {}
    for path in sorted(wheelhouse.glob("*.whl")):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() in lock.wheels:
            found[f"{WHEELS}/{path.name}"] = content
    if len(found) < len(lock.wheels):
        missing = len(lock.wheels) - len(found)
        raise InputError(f"{wheelhouse} lacks {missing} of the wheels that its lock names.", hint=_HINT)
    files = {LOCK: lock.text, **found}
    try:
        manifest = AgentManifest(
            version=lock.version,
            python=settings["PYTHON_VERSION"],
            arch=settings["ARCH"],
            glibc=settings["GLIBC"],
            system_site_packages=settings["SYSTEM_SITE_PACKAGES"] == "yes",
            modules=tuple(settings["MODULES"].split()),
            installed_bytes=sum(map(_unpacked_bytes, found.values())),
            files={name: file_entry(content) for name, content in files.items()},
        )
    except (KeyError, ValidationError) as error:
        raise InputError(f"{wheelhouse / _SETTINGS} is not what it must be: {error}.", hint=_HINT) from error
    if output.is_dir():
        target = settings.get("TARGET", manifest.arch)
        output /= f"{AGENT_NAME}-{manifest.version}-{target}-py{manifest.python}{AGENT_SUFFIX}"
    write_agent_release(output, manifest, files)
    return output


def _settings(path: Path) -> dict[str, str]:
    return dict(_SETTING.findall(_text(path).decode("utf-8", "replace")))


def _lock(path: Path) -> _Lock:
    text = _text(path)
    try:
        locked = read_lock(text)
    except BadBundle as error:
        raise InputError(f"{path} is no lock file of a wheelhouse: {error.message}", hint=_HINT) from error
    own = [one.version for one in locked if one.name == _OWN]
    if len(own) != 1:
        raise InputError(f"{path} is no lock file of a wheelhouse: it does not name {_OWN} once.", hint=_HINT)
    return _Lock(text, own[0], frozenset(one.sha256 for one in locked))


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint=_HINT) from error


def _unpacked_bytes(wheel: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise InputError("A wheel is damaged.", hint=_HINT) from error
