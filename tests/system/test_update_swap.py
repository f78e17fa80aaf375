"""A bundle comes by its slots while every frame counts: it takes over between two frames, and what goes wrong is started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.update import launcher
from edgesdk_testkit.frame_account import capture_gaps
from edgesdk_testkit.update_site import PATIENCE_S, Site, agent_of, update_site, wait_for

pytestmark = pytest.mark.system

EVERY_FRAME = "source: 'conveyor:?fps=20', mode: every_frame"


@pytest.fixture
def site(tmp_path: Path, digits_bundle: Path) -> Iterator[Site]:
    with update_site(tmp_path, digits_bundle, camera=EVERY_FRAME) as made:
        made.launch()
        try:
            made.wait_for_results("1.0.1")
            yield made
        finally:
            code = made.end()
        assert code == 0


def frames(site: Site) -> list[tuple[int, str]]:
    """Return the number of each result's frame, and the version that it is of, in the order of their coming."""
    heard = [one.body for one in site.listener.heard() if one.channel == "up/result"]
    return [(one["frame"], one["bundle"]["version"]) for one in heard]


def test_no_frame_is_lost_by_an_update_in_every_frame(site: Site) -> None:
    before = agent_of(site.root, "a")
    for number, slot in ((2, "b"), (3, "a")):
        site.published(number)
        done = site.update("install", f"{site.url}/{number}.edgebundle")
        assert done.code == 0, done.errors
        assert (done.found["runs"], done.found["confirmed"]["version"]) == (slot, f"1.0.{number}")
        site.wait_for_results(f"1.0.{number}")
    found = frames(site)
    # To the frame: none lost, none twice, in order; and each version's after those of the one before.
    assert [number for number, _ in found] == list(range(len(found)))
    versions = [version for _, version in found]
    assert versions == sorted(versions)
    assert set(versions) == {"1.0.1", "1.0.2", "1.0.3"}
    # The same process all along; the launcher was told, and has counted.
    assert agent_of(site.root, "a") == before
    assert launcher.read_switch(site.root).trial is None

    # The command line names the slot of the start; reading the configuration again keeps what was taken over.
    with site.config.open("a") as config:
        config.write("telemetry: {interval_s: 7}\n")
    os.kill(before, signal.SIGHUP)
    site.listener.wait_until(lambda all_: any(one.body.get("name") == "config_reloaded" for one in all_), PATIENCE_S)
    site.wait_for_results("1.0.3")
    assert frames(site)[-1][1] == "1.0.3"

    # And what is confirmed is what a later start runs.
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: site.process is not None and site.process.poll() is not None, "the launcher did not end")
    site.keep_launched()
    seen = site.results("1.0.3")
    site.wait_for_results("1.0.3")
    assert site.results("1.0.3") > seen
    assert agent_of(site.root, "a") != before
    # The belt is live, and what nobody reads has no number. By the clock, the shorter of the two swaps took less than half of the
    # longest pause, which a start makes.
    gaps = capture_gaps(one.body for one in site.listener.heard("up/result"))
    assert min(gaps.at_swaps) < gaps.longest / 2


def test_a_crash_while_the_taken_over_one_is_on_trial_goes_back_in_the_end(site: Site) -> None:
    """The next starts are made from the slot, and counted; the launcher needs nobody for the way back."""
    # Longer than the kills take: else it would be confirmed before.
    asked = site.update("install", str(site.published(4)), "--no-wait")
    assert asked.code == 0
    first = agent_of(site.root, "a")
    killed: set[int] = {0}
    while len(killed) < 3:
        trial = wait_for(lambda: (found := launcher.read_switch(site.root).trial) and found.starts and found)
        process = (
            first if len(killed) == 1 else wait_for(lambda: (one := agent_of(site.root, "b")) not in killed and one)
        )
        assert trial.slot == "b"
        os.kill(process, signal.SIGKILL)
        killed.add(process)
    site.wait_for_step("1.0.4", "rolled back")
    site.wait_for_results("1.0.1")
    assert launcher.read_switch(site.root).active == "a"
