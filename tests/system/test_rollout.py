"""Real service, broker, launchers, agents: a good model comes to all, a bad one to the first, and one word takes it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk_testkit.rollout_site import fleet_site, node_of
from edgesdk_testkit.update_site import wait_for

pytestmark = [pytest.mark.system, pytest.mark.long]


def test_a_good_model_comes_to_all_a_bad_one_to_the_first_and_one_word_takes_it_back(
    tmp_path: Path, digits_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fleet_site(tmp_path, digits_bundle, 2) as site:
        maker = next(iter(site.devices.values()))
        assert site.deploy(maker.published(2)) == 0, site.newest()
        done = json.loads(capsys.readouterr().out)
        assert (done["status"], done["steps"], done["failed"]) == ("done", {"confirmed": 2}, 0)
        site.wait_for_versions("1.0.2")
        # One after the other: the second had its turn when the first had shown what it does.
        first, second = sorted(done["shown"], key=lambda one: one["wave"])
        assert second["told_ms"] - first["confirmed_ms"] >= 3000

        # Its colours are swapped: the golden set does not hold on the first device, and no other one is asked.
        assert site.deploy(maker.published(3, color="bgr")) == 3
        bad = json.loads(capsys.readouterr().out)
        assert bad["status"] == "rolled back"
        assert "golden set is not met" in bad["why"]
        assert sorted(one["step"] for one in bad["shown"]) == ["back", "waiting"]
        untouched = next(one["node"] for one in bad["shown"] if one["step"] == "waiting")
        told = [one.body for one in site.listener.heard() if one.channel == "up/event" and node_of(one) == untouched]
        assert all(one["data"].get("version") != "1.0.3" for one in told if one["name"] == "update_step")
        site.wait_for_versions("1.0.2")

        assert site.rollback(done["key"]) == 3
        back = json.loads(capsys.readouterr().out)
        # The first one's way back was the slot that the bad one came into: it says so, and goes on.
        assert (back["status"], back["steps"]) == ("rolled back", {"back": 1, "stays": 1})
        assert "1 cannot go back" in back["why"]
        stays = next(one for one in back["shown"] if one["step"] == "stays")
        assert "no release before this one" in stays["why"]
        wait_for(lambda: site.version_of(untouched) == "1.0.1")
        assert site.version_of(stays["node"]) == "1.0.2"
