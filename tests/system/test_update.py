"""Real broker, launcher and agent, signed bundles: a good model stays, a wrong one and one that crashes go, and nobody helps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_agent.update import launcher
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_testkit.mqtt_listener import Heard
from edgesdk_testkit.update_site import PATIENCE_S, Site, agent_of, update_site, wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def site(tmp_path: Path, digits_bundle: Path) -> Iterator[Site]:
    with update_site(tmp_path, digits_bundle, more="telemetry: {interval_s: 1}\n") as made:
        made.launch()
        try:
            made.wait_for_results("1.0.1")
            yield made
            assert made.process is not None
            assert made.process.poll() is None, "the launcher ended"
        finally:
            code = made.end()
        assert code == 0
        made.listener.wait_until(lambda all_: all_[-1].body.get("state") == "offline", PATIENCE_S)


def agent_on_trial(root: Path) -> int:
    """Return the process of the candidate that runs now; 0 where none does."""
    trial = launcher.read_switch(root).trial
    return 0 if trial is None else agent_of(root, trial.slot)


def test_a_good_model_stays_and_wrong_and_crashing_ones_go(site: Site) -> None:
    site.published(2)
    good = site.update("install", f"{site.url}/2.edgebundle")
    assert good.code == 0, good.errors
    site.wait_for_results("1.0.2")
    steps = site.wait_for_step("1.0.2", "confirmed")
    assert [one["step"] for one in steps if one.get("version") == "1.0.2"] == [
        "downloading", "verified", "staged", "trial", "confirmed",
    ]  # fmt: skip
    # What a device says it runs is what runs: the candidate from its trial on, and not before.
    ids = {one["step"]: one["executing"] == one["id"] for one in steps if "id" in one}
    assert ids["staged"] is False
    assert ids["confirmed"] is True

    wrong = site.update("install", str(site.published(3, color="bgr")))
    assert wrong.code == 1
    told = wrong.found
    assert "golden set is not met" in told["why"]
    assert (told["runs"], told["confirmed"]["version"], told["trial"]) == ("b", "1.0.2", None)
    again = site.update("install", str(site.bundles / "3.edgebundle"))
    assert again.code == 2
    assert "failed here (verified)" in again.errors
    old = site.update("install", str(site.bundles / "1.edgebundle"))
    assert old.code == 2
    assert "this device has confirmed 2" in old.errors
    assert not site.results("1.0.3")

    asked = site.update("install", str(site.published(4)), "--no-wait")
    assert asked.code == 0
    killed: set[int] = {0}
    while len(killed) < 3:
        process = wait_for(lambda: (found := agent_on_trial(site.root)) not in killed and found)
        os.kill(process, signal.SIGKILL)
        killed.add(process)
    last = site.wait_for_step("1.0.4", "rolled back")[-1]
    before = site.results("1.0.2")
    site.wait_for_results("1.0.2")
    assert site.results("1.0.2") > before
    assert (last["version"], last["why"]) == (
        "1.0.4",
        "not confirmed in 2 starts, the last of which was ended by signal 9",
    )
    assert site.update("status").found["step"] == "rolled back"
    assert launcher.read_json(site.root / "slots/b/slot.json")["version"] == "1.0.2"
    assert_told_for_good(site)


def assert_told_for_good(site: Site) -> None:
    """What is said once as an event is said on as well: how far the update is by what is retained, and how often by telemetry."""
    said = [(one.body["active"]["version"], one.body["step"]) for one in site.listener.heard("up/reported")]
    assert ("1.0.2", "confirmed") in said
    assert {step for version, step in said if version == "1.0.4"} <= {"", "staged", "trial"}

    def counted(heard: Sequence[Heard]) -> set[str]:
        told = [sample["counts"] for one in heard if one.channel == "up/tele" for sample in one.body["samples"]]
        return {name for counts in told for name in counts if name.startswith("update.")}

    wanted = {f"update.{what}" for what in ("confirmed", "failed", "refused", "rolled_back")}
    site.listener.wait_until(lambda all_: counted(all_) == wanted, PATIENCE_S)


_QUICK = "shadow: {busy_percent: 101, older: 100, apart_s: 0, look_s: 0.1}"


def shadowed(site: Site, token: str, bundle: Path, **plan: Any) -> None:
    """Ask for a bundle with a shadow run before its trial, in as much time as a busy machine needs."""
    usual = {"lasts_s": PATIENCE_S * 0.9, "least_s": 0.0, "share": 1.0, **plan}
    WishFiles(site.root).ask(
        Wish(do="install", token=token * 16, address=str(bundle), shadow=ShadowPlan.model_validate(usual))
    )


def test_a_shadow_run_promotes_a_good_candidate_and_stops_a_bad_one(tmp_path: Path, digits_bundle: Path) -> None:
    pytest.importorskip("onnx")
    from edgesdk_testkit import bad_models

    trial = f"soak_s: 1, frames: 5, slower: 100, unlike: off, trial_s: 100, {_QUICK}"
    camera = "source: 'conveyor:?fps=30', mode: freshest"
    with update_site(tmp_path, digits_bundle, trial=trial, camera=camera) as site:
        site.launch()
        try:
            site.wait_for_results("1.0.1")
            with open_bundle(site.original) as bundle:
                bad = site.publish(2, *bad_models.with_clock(bundle, bad_models.misses(10, 7), 8))
            shadowed(site, "2", bad)
            told = site.wait_for_step("1.0.2", "idle")[-1]
            assert told["shadow"]["verdict"] == "reject", told
            assert told["shadow"]["classes"]["7"]["differs"] > 0.5
            assert "differ" in told["why"]
            # It never ran as what is executing, nor is it there any more.
            assert not site.results("1.0.2")
            wait_for(lambda: not list((site.root / "slots" / "b").iterdir()))

            shadowed(site, "3", site.published(3), then="wait")
            staged = next(one for one in _told_with_shadow(site, "1.0.3"))
            assert (staged["step"], staged["shadow"]["verdict"]) == ("staged", "promote"), staged
            assert site.update("status").found["shadowed"]["verdict"] == "promote"
            assert not site.results("1.0.3")
            # Now it is asked for.
            assert site.update("install", str(site.bundles / "3.edgebundle")).code == 0
            site.wait_for_results("1.0.3")
        finally:
            assert site.end() == 0


def _told_with_shadow(site: Site, version: str) -> list[dict[str, Any]]:
    def told(all_: Sequence[Heard]) -> list[dict[str, Any]]:
        steps = [one.body["data"] for one in all_ if one.channel == "up/event" and one.body["name"] == "update_step"]
        return [one for one in steps if one.get("version") == version and "shadow" in one]

    return told(site.listener.wait_until(lambda all_: bool(told(all_)), PATIENCE_S))
