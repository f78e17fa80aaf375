"""Releases of the agent made of this working tree: its own wheel, altered where a test wants that, and one that brings all else.

The second wheel holds one line: where the packages of this Python lie. So an environment is made by the real `venv` and `pip`
in seconds, and no package is fetched; `test_wheelhouse.py` builds one of the real wheels.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import edgesdk_agent
import edgesdk_targets
from edgesdk.agent_release import release_from_wheelhouse
from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_targets.agent_release.agent_release import open_agent_release
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, chunks_of

_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_FUTURE = b"from __future__ import annotations\n"
_SCRIPT = "[console_scripts]\nedgesdk-agent = edgesdk_agent.main:main\n"


def wheelhouse(folder: Path, version: str, changes: Mapping[str, str | None] | None = None) -> Path:
    """Write a wheelhouse for this machine, as `scripts/wheelhouse` does.

    Args:
        changes: path in the agent's wheel → lines that are put before all imports but that of the future; None leaves it out.
    """
    folder.mkdir()
    own = {
        f"{Path(package.__file__).parent.name}/{path.relative_to(Path(package.__file__).parent)}": path.read_bytes()
        for package in (edgesdk_agent, edgesdk_targets)
        for path in sorted(Path(package.__file__).parent.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    for name, text in (changes or {}).items():
        if text is None:
            del own[name]
        else:
            own[name] = own[name].replace(_FUTURE, _FUTURE + text.encode(), 1)
    rest = {"packages_of_this_python.pth": f"{Path(np.__file__).parents[1]}\n".encode()}
    wheels = [
        _wheel(folder, "edgesdk", version, own, {"entry_points.txt": _SCRIPT}),
        _wheel(folder, "packages_of_this_python", "1.0", rest),
    ]
    lines = [f"{name} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for name, path in wheels]
    (folder / "requirements.lock").write_text("# edgesdk for a test\n" + "".join(lines))
    (folder / "wheelhouse.env").write_text(
        f'TARGET="x86-cpu"\nPYTHON_VERSION="{_PYTHON}"\nARCH="{platform.machine()}"\nGLIBC="2.17"\n'
        'SYSTEM_SITE_PACKAGES="no"\nMODULES="numpy cv2 edgesdk_agent.agent"\n'
    )
    return folder


def agent_release(
    folder: Path, version: str, number: int, key: PrivateKey, changes: Mapping[str, str | None] | None = None
) -> Path:
    """Return a signed release of the agent, with its list of chunks beside it."""
    path = release_from_wheelhouse(wheelhouse(folder / f"wheels-{version}", version, changes), folder)
    with open_agent_release(path) as release:
        sign_bundle(release, key, path, release=number)
    with open_agent_release(path) as release:
        path.with_name(path.name + CHUNKS_SUFFIX).write_bytes(chunks_of(release, number).to_bytes())
    return path


def _wheel(
    folder: Path, name: str, version: str, files: Mapping[str, bytes], more: Mapping[str, str] | None = None
) -> tuple[str, Path]:
    """Write a wheel, and return its line of a lock without the hash, and its path."""
    info = f"{name}-{version}.dist-info"
    described = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(more or {}),
    }
    content = {**files, **{f"{info}/{path}": text.encode() for path, text in described.items()}}
    recorded = "".join(f"{path},sha256={_hash(data)},{len(data)}\n" for path, data in content.items())
    content[f"{info}/RECORD"] = (recorded + f"{info}/RECORD,,\n").encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, data in content.items():
            archive.writestr(inside, data)
    return f"{name}=={version}", path


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
