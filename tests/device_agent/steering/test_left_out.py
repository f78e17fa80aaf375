"""What was set from afar and does not fit the file any more: as little as possible is left out, and no untruth told."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk_targets.messages import Desired
from edgesdk_testkit.steered import Bench

AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
YARD = "  - {name: yard, source: 'synthetic:'}\n"


def _settled(folder: Path, **state: object) -> Bench:
    """Return a device that is as was wanted, with a setting by command beside it."""
    bench = Bench(folder)
    (folder / "bundles/new.edgebundle").touch()
    bench.settings.set({"telemetry.samples_per_message": 7})
    bench.steering._shadow.offer(Desired(node="local.gate", at=AT, version=2, state=state))  # type: ignore[arg-type]
    bench.run()
    bench.now = 60
    bench.run()
    bench = Bench(folder)  # what waited for a start is there
    bench.now = 1e12
    bench.run()
    assert bench.beginning.file.now.trial is None
    return bench


def _without_yard(folder: Path) -> Bench:
    file = folder / "edgesdk.yaml"
    text = file.read_text()
    bench = Bench(folder, text.replace(YARD, ""))
    bench.steering._shadow.resume()
    return bench


def test_a_setting_of_a_camera_that_is_gone_is_not_called_applied(tmp_path: Path) -> None:
    state = {"config": {"cameras[1].fps": 5}, "log_level": "info"}
    before = _settled(tmp_path, **state)
    assert before.beginning.file.now.report.applied == state
    after = _without_yard(tmp_path)
    report = after.reports[-1]
    assert report.applied == {"log_level": "info"}
    assert [one.what for one in report.refused] == ["config"]
    assert "left out at the start" in report.refused[0].why
    assert after.beginning.news[0][0] == "settings_left_out"
    assert after.config.telemetry.samples_per_message == 7, "what fits is still there"
    assert after.settings.set({"telemetry.interval_s": 4})["changed"], "and the device can be steered"


def test_a_bundle_that_is_gone_leaves_the_settings_and_converges_when_it_is_back(tmp_path: Path) -> None:
    state = {"config": {"telemetry.interval_s": 4}, "bundle": "new.edgebundle"}
    _settled(tmp_path, **state)
    (tmp_path / "bundles/new.edgebundle").unlink()
    after = Bench(tmp_path)
    after.steering._shadow.resume()
    assert after.reports[-1].applied == {"config": {"telemetry.interval_s": 4}}
    assert [one.what for one in after.reports[-1].refused] == ["bundle"]
    assert after.config.telemetry.interval_s == 4
    assert after.config.bundle.name == "digits.edgebundle"
    (tmp_path / "bundles/new.edgebundle").touch()
    after.steering._shadow.offer(Desired(node="local.gate", at=AT, version=2, state=state))  # type: ignore[arg-type]
    after.run()
    assert after.reports[-1].applied == state


def test_what_is_left_out_today_is_there_again_when_the_file_is_mended(tmp_path: Path) -> None:
    _settled(tmp_path, config={"telemetry.interval_s": 4})
    bench = Bench(tmp_path)
    bench.settings.set({"pipeline.threads": 3})
    bench.now = 60
    bench.run()
    text = (tmp_path / "edgesdk.yaml").read_text()
    assert Bench(tmp_path, text).config.pipeline.threads == 3


@pytest.mark.parametrize("damage", ["bundle", "set", "desired"])
def test_only_what_does_not_fit_is_left_out(tmp_path: Path, damage: str) -> None:
    bench = _settled(tmp_path, config={"telemetry.interval_s": 4}, bundle="new.edgebundle")
    file = bench.beginning.file
    wrong = {"bundle": "gone", "set": {"cameras[7].fps": 1}, "desired": {"cameras[7].fps": 1}}[damage]
    file.write(file.now.but(layer=file.now.layer.model_copy(update={damage: wrong})))
    after = Bench(tmp_path)
    assert (after.config.telemetry.samples_per_message == 7) == (damage != "set")
    assert (after.config.telemetry.interval_s == 4) == (damage != "desired")
    assert (after.config.bundle.name == "new.edgebundle") == (damage != "bundle")
