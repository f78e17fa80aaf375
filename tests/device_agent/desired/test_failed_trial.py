"""A desired state that did not come through its trial: remembered, barred, and told."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk_agent.steering.beginning import begin, take_back_failed
from edgesdk_agent.steering.health_mark import Mark
from edgesdk_agent.steering.run_before import RunBefore
from edgesdk_testkit.steered import CONFIG, Bench, why

AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
FASTER = {"telemetry.interval_s": 4}


def _fail(bench: Bench) -> None:
    bench.mark = Mark(processed=9, failed="the model ended")
    bench.run()
    bench.mark = Mark(processed=9)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.mark = Mark(processed=9)
    return made


def test_what_failed_is_refused_with_its_reason_until_another_version_comes(bench: Bench) -> None:
    bench.want(3, config=FASTER)
    _fail(bench)
    assert bench.restarts, "a pipeline that ended is started again"
    for where in (bench, Bench(bench.folder)):
        report = where.want(3, config=FASTER, paused_cameras=["yard"] if where is not bench else None)
        assert "the model ended" in why(report)["settings"]
        assert "not tried again" in why(report)["settings"]
        assert "config" not in report.applied
    assert where.config.telemetry.interval_s == 10
    assert where.want(4, config=FASTER).applied == {"config": FASTER}


def test_the_rest_of_a_barred_state_converges(bench: Bench) -> None:
    bench.want(3, config=FASTER, paused_cameras=["later"])
    _fail(bench)
    bench.pause("yard")
    report = bench.want(3, config=FASTER, paused_cameras=["later"])
    assert set(why(report)) == {"settings", "paused_cameras"}
    assert bench.steering._shadow.counts()["barred"] == 1


def test_an_end_on_trial_may_be_nobodys_fault_but_not_three_times(bench: Bench) -> None:
    where = bench
    for _ in range(3):
        assert where.want(3, config=FASTER).applied == {"config": FASTER}
        where = Bench(bench.folder)  # nobody ended the one before in an orderly way
        where.steering._shadow.resume()
        assert where.config.telemetry.interval_s == 10
    report = where.want(3, config=FASTER)
    assert "3 times. It is not tried again" in why(report)["settings"]
    assert where.config.telemetry.interval_s == 10


def test_a_trial_that_ends_well_forgets_the_ones_that_were_cut_off(bench: Bench) -> None:
    bench.want(3, config=FASTER)
    after = Bench(bench.folder)
    after.mark = Mark(processed=9)
    assert after.beginning.file.now.failed is not None
    after.want(3, config=FASTER)
    after.mark, after.now = Mark(processed=99), 60.0
    after.run()
    assert after.beginning.file.now.failed is None
    assert after.config.telemetry.interval_s == 4


def test_a_command_that_fails_its_trial_says_nothing_of_what_is_wanted(bench: Bench) -> None:
    wanted = bench.want(3, config=FASTER)
    bench.mark, bench.now = Mark(processed=99), 60.0
    bench.run()
    bench.mark = Mark(processed=9)
    bench.settings.set({"telemetry.samples_per_message": 7})
    _fail(bench)
    assert bench.events[-1][0] == "settings_rolled_back"
    assert bench.reports[-1] == wanted
    assert bench.config.telemetry.interval_s == 4


def test_a_start_that_fails_on_trial_is_judged_and_one_that_waits_is_not(bench: Bench) -> None:
    report = bench.want(1, config={"cameras[0].fps": 5})
    assert report.pending
    assert not take_back_failed(bench.beginning.file, "another thing"), "its trial has not begun"
    after = begin(bench.beginning.source)
    assert after.loaded.config.cameras[0].fps == 5
    assert take_back_failed(after.file, "no camera")
    again = Bench(bench.folder)
    assert again.config.cameras[0].fps is None
    assert "no camera" in why(again.want(1, config={"cameras[0].fps": 5}))["settings"]


def test_settings_on_trial_that_the_file_does_not_take_are_judged(bench: Bench) -> None:
    bench.want(1, config={"cameras[1].fps": 5})
    file = bench.folder / "edgesdk.yaml"
    file.write_text(file.read_text().replace("  - {name: yard, source: 'synthetic:'}\n", ""))
    after = begin(bench.beginning.source)
    assert after.file.now.trial is None
    assert after.file.now.failed is not None
    assert after.file.now.failed.final
    assert after.news[0][0] == "settings_rolled_back"


def test_without_a_state_folder_it_is_handed_to_the_next_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, CONFIG.replace("state: state, ", ""))
    bench.mark = Mark(processed=9)
    bench.want(3, config=FASTER)
    _fail(bench)
    left = RunBefore(restarts=(1.0,), failed=bench.beginning.file.now.failed)
    after = begin(bench.beginning.source, RunBefore.model_validate_json(left.model_dump_json()))
    assert after.file.now.failed == left.failed
    assert after.budget.at == (1.0,)
