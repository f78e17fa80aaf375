"""A device whose clock says 1970 fetches nothing by HTTPS, says why and what to do, and goes on by itself when it is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

pytest.importorskip("cryptography")

from edgesdk.soak.injections.wall_clock import WallClock
from edgesdk_agent.update import launcher
from edgesdk_agent.update.fetch.places import ServerPlace
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, chunks_of
from edgesdk_targets.errors import FetchFailed
from edgesdk_testkit.certificates import make_certificates
from edgesdk_testkit.range_server import serving
from edgesdk_testkit.required import missing
from edgesdk_testkit.update_device import Device
from edgesdk_testkit.update_life import first_install, make

YEARS_10 = 10 * 365 * 86400


def test_it_says_so_and_goes_on_by_itself_when_the_clock_is_right(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    if why := clock.missing() or clock.build():
        missing(why)
    certificates = make_certificates(tmp_path / "tls")
    first_install(tmp_path / "update", make(tmp_path, 2))
    device = Device(tmp_path)
    (tmp_path / "trusted.keys").write_text(device.trusted.to_text())
    made = device.made(3)
    with open_bundle(made.path) as bundle:
        made.path.with_name(made.path.name + CHUNKS_SUFFIX).write_bytes(chunks_of(bundle, 3).to_bytes())
    runs = _what_runs(device.root)
    clock.set_ahead(600 - round(time.time()))
    with serving(tmp_path, tls=certificates) as url:
        words = [str(tmp_path), f"{url}/{made.path.name}", str(certificates.ca)]
        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-m", "edgesdk_testkit.update_child", *words], stdout=subprocess.PIPE, text=True,
            env={**os.environ, **clock.environment, **path},
        ) as child:  # fmt: skip
            try:
                assert child.stdout is not None
                at, name, message, data = _next(child.stdout)
                assert (name, data["code"], at < 86400) == ("update_waits", "clock_doubted", True)
                assert "is not valid yet by this device's clock, which says 1970-01-01: set the clock" in message
                clock.set_ahead(YEARS_10)
                _, name, message, data = _next(child.stdout)
                assert (name, data["code"]) == ("update_waits", "clock_doubted")
                assert f"has expired by this device's clock, which says {time.gmtime().tm_year + 10}-" in message
                assert _what_runs(device.root) == runs
                assert not list((device.root / "slots/b").iterdir())
                # Somebody sets the clock, and nobody asks again.
                clock.set_ahead(0)
                steps = []
                while not steps or steps[-1] != "idle":
                    _, name, _, data = _next(child.stdout)
                    assert name == "update_step"
                    steps.append(data["step"])
                assert child.wait(30) == 0
            finally:
                child.kill()
    # The bundle has no golden set, which ends it after it came, was checked and lay in its slot.
    assert steps == ["downloading", "verified", "idle"]
    assert _what_runs(device.root) == runs


def test_a_server_that_nobody_here_trusts_is_no_matter_of_the_clock(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "tls")
    other = make_certificates(tmp_path / "other")
    with serving(tmp_path, tls=certificates) as url, pytest.raises(FetchFailed, match=r"update\.ca") as refused:
        ServerPlace(f"{url}/m.edgebundle", authority=other.ca).chunk_list()
    assert refused.value.code == "untrusted_server"
    (tmp_path / f"m.edgebundle{CHUNKS_SUFFIX}").write_bytes(b"the list")
    with serving(tmp_path, tls=certificates) as url:
        assert ServerPlace(f"{url}/m.edgebundle", authority=certificates.ca).chunk_list() == b"the list"
    elsewhere = replace(certificates, server=certificates.client, server_key=certificates.client_key)
    with serving(tmp_path, tls=elsewhere) as url, pytest.raises(FetchFailed, match="for another name") as refused:
        ServerPlace(f"{url}/m.edgebundle", authority=certificates.ca).chunk_list()
    assert refused.value.code == "untrusted_server"


def _next(told: IO[str]) -> list[Any]:
    """Return what the device tells next: when by its clock, name, message, data."""
    line = told.readline()
    assert line, "it ended"
    found: list[Any] = json.loads(line)
    return found


def _what_runs(root: Path) -> dict[str, bytes]:
    return {
        name: (root / name).read_bytes() for name in (launcher.SWITCH, "slots/a/model.edgebundle", "slots/a/slot.json")
    }
