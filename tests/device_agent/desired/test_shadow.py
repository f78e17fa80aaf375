"""The desired state: versions, convergence, and a report that says what became of each part."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_testkit.steered import Bench, why

AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_wanted_is_applied_and_reported(bench: Bench) -> None:
    (bench.folder / "bundles" / "new.edgebundle").touch()
    state = {"config": {"telemetry.interval_s": 4}, "bundle": "new.edgebundle", "paused_cameras": ["door"]}
    report = bench.want(3, **state)
    assert (report.version, report.applied, report.refused) == (3, state, ())
    assert bench.config.telemetry.interval_s == 4
    assert bench.config.bundle.name == "new.edgebundle"
    assert bench.paused == {"door"}


def test_a_part_that_is_wrong_does_not_hold_up_the_others(bench: Bench) -> None:
    report = bench.want(
        1, config={"telemetry.interval_s": 4}, bundle="gone", paused_cameras=["nowhere"], log_level=7, bundel="x"
    )
    assert report.applied == {"config": {"telemetry.interval_s": 4}}
    assert set(why(report)) == {"bundle", "paused_cameras", "log_level", "bundel"}
    assert "did you mean 'bundle'" in why(report)["bundel"]
    assert bench.config.telemetry.interval_s == 4


def test_a_setting_that_is_wrong_refuses_all_settings(bench: Bench) -> None:
    report = bench.want(1, config={"telemetry.interval_s": 4, "mqtt.url": "mqtt://elsewhere"})
    assert report.applied == {}
    assert "may not be set" in why(report)["config"]
    assert bench.config.telemetry.interval_s == 10


def test_an_older_version_is_ignored_and_the_same_is_nothing_new(bench: Bench) -> None:
    bench.want(5, config={"telemetry.interval_s": 4})
    reports = len(bench.reports)
    bench.want(4, config={"telemetry.interval_s": 9})
    bench.want(5, config={"telemetry.interval_s": 4})
    assert bench.config.telemetry.interval_s == 4
    assert len(bench.reports) == reports
    assert bench.steering._shadow.counts() == {"taken": 1, "older": 1, "known": 1}


def test_the_same_version_with_another_content_is_told(bench: Bench) -> None:
    bench.want(5, config={"telemetry.interval_s": 4})
    report = bench.want(5, config={"telemetry.interval_s": 9})
    assert "raise it" in why(report)["version"]
    assert bench.config.telemetry.interval_s == 4


def test_what_was_refused_is_tried_again_when_it_comes_again(bench: Bench) -> None:
    assert bench.want(1, bundle="late.edgebundle").refused
    (bench.folder / "bundles" / "late.edgebundle").touch()
    report = bench.want(1, bundle="late.edgebundle")
    assert (report.refused, report.applied) == ((), {"bundle": "late.edgebundle"})


def test_what_is_not_wanted_any_more_goes_back_to_the_file(bench: Bench) -> None:
    bench.want(1, config={"telemetry.interval_s": 4, "telemetry.samples_per_message": 2})
    bench.want(2, config={"telemetry.samples_per_message": 2})
    assert (bench.config.telemetry.interval_s, bench.config.telemetry.samples_per_message) == (10, 2)


def test_the_newer_word_holds_between_commands_and_what_is_wanted(bench: Bench) -> None:
    bench.want(1, config={"telemetry.interval_s": 4})
    bench.settings.set({"telemetry.interval_s": 5})
    assert bench.config.telemetry.interval_s == 5
    bench.want(2, config={"telemetry.interval_s": 6})
    assert bench.config.telemetry.interval_s == 6


def test_a_restart_converges_without_a_word(bench: Bench) -> None:
    bench.want(2, config={"telemetry.interval_s": 4}, paused_cameras=["yard"])
    bench.now = 60
    bench.settings.tick()
    after = Bench(bench.folder)
    after.steering._shadow.resume()
    assert after.config.telemetry.interval_s == 4
    assert after.paused == {"yard"}
    assert after.reports[-1] == bench.reports[-1]
    after.want(2, config={"telemetry.interval_s": 4}, paused_cameras=["yard"])
    assert after.steering._shadow.counts() == {"known": 1}


def test_what_needs_a_restart_is_pending_until_then(bench: Bench) -> None:
    report = bench.want(1, config={"cameras[0].fps": 5, "telemetry.interval_s": 4})
    assert report.pending == ("cameras[0].fps",)
    assert not bench.restarts
    assert bench.config.telemetry.interval_s == 10, "a change is made whole, or later"
    after = Bench(bench.folder)
    after.steering._shadow.resume()
    assert after.config.cameras[0].fps == 5
    assert after.config.telemetry.interval_s == 4
    assert after.reports[-1].pending == ()


def test_a_state_that_does_not_do_well_is_taken_back_and_told(bench: Bench) -> None:
    from edgesdk_agent.steering.health_mark import Mark

    bench.mark = Mark(processed=9)
    bench.want(1, config={"telemetry.interval_s": 4})
    bench.now = 60
    bench.settings.tick()
    assert bench.config.telemetry.interval_s == 10
    assert "taken back: no frame" in why(bench.reports[-1])["settings"]
    assert bench.reports[-1].applied == {}


def test_a_crash_on_trial_is_told_and_the_same_document_converges_again(bench: Bench) -> None:
    bench.want(1, config={"telemetry.interval_s": 4}, paused_cameras=["yard"])
    after = Bench(bench.folder)  # nobody ended the first one in an orderly way
    after.steering._shadow.resume()
    assert after.config.telemetry.interval_s == 10
    assert "taken back: The agent ended" in why(after.reports[-1])["settings"]
    assert after.reports[-1].applied == {"paused_cameras": ["yard"]}
    report = after.want(1, config={"telemetry.interval_s": 4}, paused_cameras=["yard"])
    assert (report.refused, after.config.telemetry.interval_s) == ((), 4)
    assert after.steering._shadow.counts() == {"taken": 1}


def test_an_update_is_asked_for_once_with_each_version_and_is_pending(bench: Bench) -> None:
    address = "https://models.example.com/m.edgebundle"
    assert "takes no updates" in why(bench.want(1, update={"address": address}))["update"]
    asked: list[str] = []
    bench.steering._shadow._ask_update = lambda _do, given, _why, _shadow=None: asked.append(given)
    # What was refused is tried again when it comes again; what was taken up is not.
    for _ in range(2):
        report = bench.want(1, update={"address": address})
        assert (report.pending, report.refused, asked) == (("update",), (), [address])
    bench.want(2, update={"address": address})
    assert asked == [address] * 2


@pytest.mark.parametrize("wrong", ["https", "http://x/m", "/media/stick/m.edgebundle", "file:///m"])
def test_an_update_comes_from_https_alone(bench: Bench, wrong: str) -> None:
    asked: list[str] = []
    bench.steering._shadow._ask_update = lambda _do, given, _why, _shadow=None: asked.append(given)
    assert "update" in why(bench.want(1, update={"address": wrong}))
    assert asked == []


def test_a_bundle_that_is_to_be_left_is_asked_for_by_its_digest(bench: Bench) -> None:
    asked: list[tuple[str, str]] = []
    bench.steering._shadow._ask_update = lambda do, given, _why, _shadow=None: asked.append((do, given))
    digest = "sha256:" + "a" * 64
    assert bench.want(1, update={"leave": digest}).pending == ("update",)
    assert asked == [("back", digest)]
    both = {"leave": digest, "address": "https://models.example.com/m.edgebundle"}
    for number, wrong in enumerate(({"leave": "a" * 64}, both, {}), start=2):
        assert "update" in why(bench.want(number, update=wrong))
    assert len(asked) == 1


def test_a_shadow_run_is_asked_for_with_an_address_alone(bench: Bench) -> None:
    asked: list[Any] = []
    bench.steering._shadow._ask_update = lambda _do, _given, _why, shadow=None: asked.append(shadow)
    bench.want(1, update={"address": "https://x/m.edgebundle", "shadow": {"lasts_s": 600, "then": "wait"}})
    assert asked == [ShadowPlan(lasts_s=600, then="wait")]
    for number, wrong in enumerate(({"share": 0}, {"faster": 1}, {"lasts_s": 1e9}), start=2):
        assert "update" in why(bench.want(number, update={"address": "https://x/m.edgebundle", "shadow": wrong}))
    assert "update" in why(bench.want(9, update={"leave": "sha256:" + "a" * 64, "shadow": {}}))
    assert len(asked) == 1
