"""The agent's own program in slots: real launcher, agents and environments. A good one stays, and no bad one keeps a device."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.update import launcher
from edgesdk_testkit.agent_wheels import agent_release
from edgesdk_testkit.update_site import Site, agent_of, update_site, wait_for

pytestmark = [pytest.mark.system, pytest.mark.long]

# The proofs before the switch do not run a camera; what only then fails is for the launcher and the trial.
DIES_WHEN_IT_RUNS = "import os\nif os.environ.get('EDGESDK_SLOT'):\n    raise SystemExit('it cannot start')\n"


@pytest.fixture
def site(tmp_path: Path, digits_bundle: Path) -> Iterator[Site]:
    with update_site(tmp_path, digits_bundle) as made:
        made.launch()
        try:
            made.wait_for_results("1.0.1")
            yield made
            assert made.process is not None
            assert made.process.poll() is None, "the launcher ended"
        finally:
            code = made.end()
        assert code == 0


def program_of(site: Site) -> Path:
    """Return the environment that the agent really runs by, whichever slot it was started from."""
    process = wait_for(lambda: agent_of(site.root, "a") or agent_of(site.root, "b"))
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return Path(words[0].decode()).parent.parent


def births_of(site: Site) -> list[dict[str, Any]]:
    return [one.body for one in site.listener.heard("up/birth")]


def environments(site: Site) -> list[Path]:
    return sorted((site.root / launcher.ENVIRONMENTS).iterdir())


def test_a_good_agent_stays_and_bad_ones_go(site: Site) -> None:
    def release(version: str, number: int, **changes: str) -> Path:
        named = {f"edgesdk_agent/{name}.py": text for name, text in changes.items()}
        return agent_release(site.bundles, version, number, site.key, named)

    before = program_of(site)
    good = site.update("install", f"{site.url}/{release('9.9.1', 1).name}")
    assert good.code == 0, good.errors
    site.wait_for_results("1.0.1")
    own = program_of(site)
    assert own.parent == site.root / launcher.ENVIRONMENTS
    assert own != before
    # A wheel's code and not this tree's, which the variable of this process names.
    births = births_of(site)
    assert births[-1]["agent_version"] == "9.9.1"
    assert births[0]["agent_version"] != "9.9.1"
    assert (births[0]["agent_digest"], births[-1]["agent_digest"]) == ("", good.found["confirmed"]["id"])

    # What is proven, and cannot run: nobody is there who could say anything, and the launcher goes back.
    mute = site.update("install", str(release("9.9.3", 2, main=DIES_WHEN_IT_RUNS)))
    assert mute.code == 1
    assert mute.found["why"] == "not confirmed in 2 starts, the last of which ended with code 1"
    assert program_of(site) == own
    site.wait_for_results("1.0.1")
    wait_for(lambda: environments(site) == [own], "what failed was not removed")
    again = site.update("install", str(next(site.bundles.glob("*9.9.3*.edgeagent"))))
    assert again.code == 2
    assert "failed here (trial)" in again.errors

    # Another bundle goes on with the agent that is proven.
    site.published(2)
    other = site.update("install", f"{site.url}/2.edgebundle")
    assert other.code == 0, other.errors
    site.wait_for_results("1.0.2")
    assert program_of(site) == own
    found = site.update("status").found
    assert (found["bundle"]["version"], found["agent"]["version"]) == ("1.0.2", "9.9.1")
    older = site.update("install", str(release("9.9.0", 1)))
    assert older.code == 2
    assert "is release 1; this device has confirmed 1" in older.errors

    # The way back is to what the other slot holds: the bundle and the agent before.
    assert site.update("back", "--why", "worse").code == 0
    site.wait_for_results("1.0.1")
    assert program_of(site) == own

    # The disk damaged what both slots run by, and the agent ends: the installed one stands in, with nobody's help.
    (damaged,) = own.glob("lib/*/site-packages/edgesdk_agent/agent.py")
    damaged.write_bytes(b"\0" * 100)
    os.kill(agent_of(site.root, "a") or agent_of(site.root, "b"), signal.SIGKILL)
    wait_for(lambda: births_of(site)[-1]["agent_version"] != "9.9.1")
    assert births_of(site)[-1]["agent_digest"] == ""
    assert program_of(site) == before
    site.wait_for_results("1.0.1")
