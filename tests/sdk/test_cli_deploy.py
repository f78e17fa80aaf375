"""`edgesdk deploy --direct`, by an ssh that reaches this machine: the device's real command gets the bundle, and is asked once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk.cli.app import run
from edgesdk.direct_deploy import _deployed
from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.update.wish import WishFiles
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_testkit.update_life import first_install, make

# As the real ones behave: the last word is a line for the other side's shell, and a host's path follows a colon.
_SSH = """#!/bin/sh
echo "ssh $*" >> "$SSH_LOG"
case "$*" in *" nowhere "*) echo "could not resolve nowhere" >&2; exit 255;; esac
for line; do :; done
exec sh -c "$line"
"""
_SCP = """#!/bin/sh
echo "scp $*" >> "$SSH_LOG"
while [ "$1" != "--" ]; do shift; done
exec cp "$2" "${3#*:}"
"""


class Site:
    """A device that is this machine, and what ssh was asked."""

    def __init__(self, folder: Path) -> None:
        first_install(folder / "update", make(folder, 1))
        self.root, self.log = folder / "update", folder / "ssh.log"
        self.config = folder / "edge sdk.yaml"
        self.config.write_text(
            "bundle: m.edgebundle\ncameras: [{name: a, source: 'synthetic:'}]\nupdate: {keys: [k], folder: update}\n"
        )
        self.signed = make(folder, 2).path
        with open_bundle(self.signed) as bundle:
            sign_bundle(bundle, PrivateKey.new("box"), self.signed, release=2)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    programs = tmp_path / "bin"
    programs.mkdir()
    agent = f'#!/bin/sh\nexec "{sys.executable}" -m edgesdk_agent.main "$@"\n'
    for name, text in {"ssh": _SSH, "scp": _SCP, "edgesdk-agent": agent}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SSH_LOG", str(tmp_path / "ssh.log"))
    return Site(tmp_path)


def deployed(capsys: pytest.CaptureFixture[str], site: Site, *words: object, code: int) -> Any:
    capsys.readouterr()
    given = ["deploy", str(site.signed), "--config", str(site.config), "--no-sudo", *map(str, words)]
    assert run(given) == code
    return capsys.readouterr()


def test_the_device_is_asked_for_the_bundle_and_keeps_its_own_copy(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = deployed(capsys, site, "--direct", "pi@cam-1", "--no-wait", "--json", code=0)
    assert json.loads(said.out) == {"host": "pi@cam-1", "code": 0, "asked": "install"}
    wish = WishFiles(site.root).wish()
    assert wish is not None
    assert Path(wish.address).parent == site.root / "given"
    assert Path(wish.address).read_bytes() == site.signed.read_bytes()
    assert not list(tmp_path.glob("tmp.*")), "what was copied over is removed"
    # Each word reaches the device as one, also with a space in it.
    assert f"--config '{site.config}'" in site.log.read_text()
    assert "BatchMode=yes -- pi@cam-1" in site.log.read_text()


def test_what_the_device_refuses_is_said_with_its_code(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.write_text(site.config.read_text().partition("update:")[0])
    assert "no section `update`" in deployed(capsys, site, "--direct", "cam-1", code=2).out
    assert not list(tmp_path.glob("tmp.*"))


@pytest.mark.parametrize("host", ["-oProxyCommand=sh", "a b", "a;b", "pi@-x", ""])
def test_a_host_that_is_none_starts_nothing(site: Site, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no host" in deployed(capsys, site, f"--direct={host}", code=2).err
    assert not site.log.exists()


def test_an_unsigned_bundle_and_a_host_that_is_not_there_are_said_at_once(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "could not resolve" in deployed(capsys, site, "--direct", "nowhere", code=1).err
    site.log.unlink()
    site.signed = make(tmp_path, 3).path
    assert "is no signed file" in deployed(capsys, site, "--direct", "cam-1", code=2).err
    assert not site.log.exists()


def test_what_runs_already_is_said_and_not_how_the_last_update_ended() -> None:
    told = {"step": "rolled back", "why": "3 starts", "said": "It runs already."}
    done = CompletedProcess([], 0, json.dumps(told), "")
    assert _deployed(done).text == "It runs already."
    done = CompletedProcess([], 1, json.dumps({**told, "said": ""}), "")
    assert _deployed(done).text == "rolled back: 3 starts"
