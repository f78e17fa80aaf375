"""A bundle to a device that ssh reaches: copied, asked for by the device's own command, and removed again.

What is trusted is the device's business: it takes what its own keys signed, whoever brings it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk_targets.agent_release.agent_release import open_release
from edgesdk_targets.errors import DeviceError, InputError
from edgesdk_targets.signing.check import signatures_of

# No word of it begins with a dash: ssh would take it for an option.
_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]-]*")
_FOLDER = re.compile(r"/[A-Za-z0-9_./-]+")
_QUICK_S = 60.0
_COPY_S = 3600.0
# A download in hours, an engine that is built and a trial; the device has its own, shorter deadlines.
_INSTALL_S = 30 * 3600.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the device said.

    Attributes:
        code: of its command: 0 stays, 1 was tried or proven and does not, 2 refused.
        told: its document; text: for a person.
    """

    code: int
    text: str
    told: dict[str, Any] = field(default_factory=dict)


def deploy_direct(bundle: Path, host: str, config: Path, *, sudo: bool = True, wait: bool = True) -> Deployed:
    """Bring a bundle to a device, and return what became of it.

    Args:
        config: the agent's, on the device.
        sudo: ask as the administrator there.

    Raises:
        InputError: the bundle is not signed, or the host is no name of one.
        BundleError: it is no bundle.
        DeviceError: ssh is missing, or does not get there.
    """
    if not _HOST.fullmatch(host):
        raise InputError(f"{host!r} is no host.", hint="Write HOST or USER@HOST, as ssh takes it.")
    with open_release(bundle) as opened:
        if bundle.is_dir() or signatures_of(opened) is None:
            raise InputError(f"{bundle} is no signed file.", hint="`edgesdk bundle sign BUNDLE --key NAME`")
    folder = _ssh(host, ["mktemp", "-d"], _QUICK_S).stdout.strip()
    if not _FOLDER.fullmatch(folder):
        raise DeviceError(f"{host} gave no folder to copy to.", hint=f"Does `ssh {host} mktemp -d` print one line?")
    try:
        place = f"{folder}/model.edgebundle"
        _run(["scp", "-q", "-B", "--", str(bundle.absolute()), f"{host}:{place}"], host, _COPY_S)
        words = ["edgesdk-agent", "update", "install", place, "--config", str(config), "--json", "--quiet"]
        words = [*(["sudo", "-n"] if sudo else []), *words, *([] if wait else ["--no-wait"])]
        done = _ssh(host, words, _INSTALL_S, any_code=True)
    finally:
        # The device keeps its own copy from the moment that it was asked.
        with suppress(DeviceError):
            _ssh(host, ["rm", "-r", "--", folder], _QUICK_S)
    return _deployed(done)


def _deployed(done: subprocess.CompletedProcess[str]) -> Deployed:
    try:
        told = json.loads(done.stdout) if done.stdout.strip() else {}
    except ValueError:
        told = {}
    if not told:
        return Deployed(
            done.returncode or 1, (done.stderr or done.stdout).strip()[-2000:] or "The device said nothing."
        )
    why = f": {told['why']}" if told.get("why") else ""
    # What it says is not of its last update, which its step is.
    return Deployed(done.returncode, told.get("said") or f"{told.get('step', 'asked for')}{why}", told)


def _ssh(
    host: str, words: Sequence[str], within_s: float, *, any_code: bool = False
) -> subprocess.CompletedProcess[str]:
    # The other side's shell reads the line, so each word is quoted for it.
    return _run(["ssh", "-o", "BatchMode=yes", "--", host, shlex.join(words)], host, within_s, any_code=any_code)


def _run(words: list[str], host: str, within_s: float, *, any_code: bool = False) -> subprocess.CompletedProcess[str]:
    program = shutil.which(words[0])
    if program is None:
        raise DeviceError(f"There is no {words[0]} here.", hint="Install OpenSSH's client.")
    try:
        done = subprocess.run(
            [program, *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{host} did not answer within {within_s:g} s.", hint="Is it reachable?") from error
    # 255 is ssh's own word: it did not get there.
    if done.returncode == 255 or (done.returncode and not any_code):
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise DeviceError(
            f"{words[0]} to {host} failed: {said[0][:300]}", hint=f"Does `ssh {host}` work without a password?"
        )
    return done
