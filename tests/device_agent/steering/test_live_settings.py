"""Settings from afar: whole or not at all, on trial, taken back where the device does worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.config import overlay
from edgesdk_agent.config.field_path import field_path
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.steering.beginning import begin
from edgesdk_agent.steering.health_mark import Mark, worse
from edgesdk_targets.errors import BadBundle, EdgeError, InputError, NoSpace
from edgesdk_testkit.steered import CONFIG, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _next_start(bench: Bench) -> ConfigSource:
    return bench.beginning.source


def test_what_is_set_is_in_effect_at_once_and_after_a_restart(bench: Bench) -> None:
    told = bench.settings.set({"telemetry.interval_s": 5, "mqtt.max_results_per_s": 2.5})
    assert told == {"changed": ["mqtt.max_results_per_s", "telemetry.interval_s"], "trial_s": 30.0, "persistent": True}
    assert [part for part, _ in bench.applied] == ["reporting"]
    bench.now = 31
    bench.settings.tick()
    assert bench.events[-1][0] == "settings_kept"
    again = begin(_next_start(bench))
    assert again.loaded.config.telemetry.interval_s == 5
    origin = again.loaded.settings[("telemetry", "interval_s")].origin
    assert origin == "command set"


def test_null_takes_back_what_was_set(bench: Bench) -> None:
    bench.settings.set({"telemetry": {"interval_s": 5}})
    bench.settings.set({"telemetry.interval_s": None})
    assert bench.config.telemetry.interval_s == 10
    assert bench.beginning.file.now.layer.set == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"telemetri.interval_s": 5}, "did you mean 'telemetry'"),
        ({"telemetry.interval_s": "soon"}, "telemetry.interval_s"),
        ({"telemetry.interval_s": 5, "telemetry.samples_per_message": 0}, "samples_per_message"),
        ({"mqtt.url": "mqtt://elsewhere"}, "may not be set from afar"),
        ({"hooks": [{"call": "os:system"}]}, "may not be set from afar"),
        ({"mqtt": {"password": "x"}}, "may not be set from afar"),
        ({"commands.settable": ["hooks"]}, "cannot be set from afar"),
        ({"device.name": "other"}, "may not be set from afar"),
        ({"telemetry.interval_s": "${env:HOME}"}, "reference to a secret"),
        ({"cameras[0].fps": 5}, "would need a restart"),
        ({"a b": 1}, "is no field"),
    ],
)
def test_a_wrong_setting_changes_nothing_and_says_why(bench: Bench, values: dict[str, object], said: str) -> None:
    before = bench.config
    with pytest.raises(InputError) as wrong:
        bench.settings.set(values)  # type: ignore[arg-type]
    assert said in f"{wrong.value.message} {wrong.value.hint}"
    assert bench.config is before
    assert bench.applied == []
    assert bench.beginning.file.now.layer.set == {}


def test_what_the_environment_fixes_is_not_set_from_afar(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.settings._source = ConfigSource(tmp_path / "edgesdk.yaml", environment={"EDGESDK_TELEMETRY__INTERVAL_S": "7"})
    with pytest.raises(InputError, match="fixed by environment EDGESDK_TELEMETRY__INTERVAL_S"):
        bench.settings.set({"telemetry.interval_s": 5})


def test_a_device_that_does_worse_takes_the_setting_back(bench: Bench) -> None:
    bench.mark = Mark(processed=100)
    bench.settings.set({"pipeline.threads": 1})
    bench.now = 29
    bench.settings.tick()
    assert bench.config.pipeline.threads == 1
    bench.now = 31
    bench.settings.tick()
    assert bench.config.pipeline.threads is None
    assert bench.events[-1] == ("settings_rolled_back", "no frame was processed since")
    assert [config.pipeline.threads for part, config in bench.applied if part == "model"] == [1, None]
    assert begin(_next_start(bench)).loaded.config.pipeline.threads is None


def test_a_camera_that_fails_on_trial_ends_it_at_once(bench: Bench) -> None:
    bench.mark = Mark(processed=100)
    bench.settings.set({"telemetry.interval_s": 5})
    bench.mark = replace(bench.mark, processed=110, lost_cameras=frozenset({"door"}))
    bench.settings.tick()
    assert bench.events[-1] == ("settings_rolled_back", "door failed")
    assert bench.config.telemetry.interval_s == 10


def test_several_settings_on_trial_go_back_together(bench: Bench) -> None:
    bench.settings.set({"telemetry.interval_s": 5})
    bench.now = 10
    bench.settings.set({"telemetry.samples_per_message": 3})
    bench.mark = Mark(failed="it broke")
    bench.settings.tick()
    assert bench.restarts, "a pipeline that ended needs a new start"
    again = begin(_next_start(bench)).loaded.config.telemetry
    assert (again.interval_s, again.samples_per_message) == (10, 1)


def test_an_end_of_the_process_during_the_trial_takes_it_back(bench: Bench) -> None:
    bench.settings.set({"telemetry.interval_s": 5})
    again = begin(_next_start(bench))
    assert again.loaded.config.telemetry.interval_s == 10
    assert [name for name, _ in again.news] == ["settings_rolled_back"]
    assert begin(_next_start(bench)).news == ()


def test_a_setting_that_needs_a_restart_is_tried_by_the_next_start_alone(bench: Bench) -> None:
    told = bench.settings.set({"cameras[0].fps": 5}, restart=True)
    assert told == {"changed": ["cameras[0].fps"], "restart": True}
    assert bench.restarts == ["settings"]
    tried = begin(_next_start(bench))
    assert tried.loaded.config.cameras[0].fps == 5
    assert begin(_next_start(bench)).loaded.config.cameras[0].fps is None, "a start that did not come to its end"


def test_a_part_that_fails_leaves_everything_as_it_was(bench: Bench) -> None:
    bench.refuse_model = BadBundle("no", hint="")
    with pytest.raises(BadBundle):
        bench.settings.set({"pipeline.threads": 1, "telemetry.interval_s": 5})
    assert bench.config.telemetry.interval_s == 10
    assert bench.beginning.file.now.layer.set == {}
    assert bench.beginning.file.now.trial is None


class TestAFullDisk:
    """The settings go back in memory at once, and on the disk as soon as it takes it."""

    @pytest.fixture
    def full(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        disk, written = [False], overlay.write_whole

        def write_whole(path: Path, content: bytes, mode: int) -> None:
            if disk[0]:
                raise NoSpace("The disk is full.", hint="Make room.")
            written(path, content, mode)

        monkeypatch.setattr(overlay, "write_whole", write_whole)
        bench.mark = Mark(processed=100)
        bench.settings.set({"telemetry.interval_s": 5})
        disk[0] = True
        return disk

    def _written(self, bench: Bench) -> overlay.Overlay:
        return overlay.Overlay.model_validate_json((bench.folder / "state" / "overlay.json").read_bytes())

    def test_a_setting_that_does_worse_goes_back_all_the_same(self, bench: Bench, full: list[bool]) -> None:
        bench.now = 31
        bench.settings.tick()
        assert bench.config.telemetry.interval_s == 10
        assert bench.events[-1][0] == "settings_rolled_back"
        assert self._written(bench).trial is not None, "a crash now takes it back too"
        full[0] = False
        bench.settings.tick()
        assert (self._written(bench).trial, self._written(bench).layer.set) == (None, {})
        assert [name for name, _ in bench.events].count("settings_rolled_back") == 1

    def test_the_end_of_a_trial_is_written_when_there_is_room(self, bench: Bench, full: list[bool]) -> None:
        bench.mark = Mark(processed=200)
        bench.now = 31
        bench.settings.tick()
        assert self._written(bench).trial is not None
        full[0] = False
        bench.settings.tick()
        assert begin(_next_start(bench)).loaded.config.telemetry.interval_s == 5


class TestReload:
    def test_what_changed_in_the_file_is_in_effect(self, bench: Bench) -> None:
        (bench.folder / "edgesdk.yaml").write_text(CONFIG + "telemetry: {interval_s: 3}\n")
        assert bench.settings.reload() == {"changed": ["telemetry.interval_s"]}
        assert bench.config.telemetry.interval_s == 3

    def test_a_field_that_needs_a_restart_refuses_the_whole_file(self, bench: Bench) -> None:
        changed = CONFIG.replace("name: yard", "name: lawn") + "telemetry: {interval_s: 3}\nqueue: {max_reports: 5}\n"
        (bench.folder / "edgesdk.yaml").write_text(changed)
        with pytest.raises(InputError, match=r"cameras\[1\]\.name, queue\.max_reports would need a restart"):
            bench.settings.reload()
        assert bench.config.telemetry.interval_s == 10

    def test_a_wrong_file_is_refused_with_its_line(self, bench: Bench) -> None:
        (bench.folder / "edgesdk.yaml").write_text(CONFIG + "telemetri: {interval_s: 3}\n")
        with pytest.raises(InputError, match="did you mean 'telemetry'"):
            bench.settings.reload()
        assert bench.events[-1][0] == "config_refused"


class TestBundle:
    def test_a_bundle_of_the_folder_takes_over(self, bench: Bench) -> None:
        (bench.folder / "bundles" / "new.edgebundle").touch()
        bench.settings.use_bundle("new.edgebundle")
        assert bench.config.bundle == (bench.folder / "bundles" / "new.edgebundle").resolve()
        bench.settings.use_bundle("")
        assert bench.config.bundle == bench.folder / "digits.edgebundle"

    @pytest.mark.parametrize(
        "name", ["../digits.edgebundle", "/etc/passwd", "gone.edgebundle", "..", "a/b", "a\0b", "x" * 300]
    )
    def test_no_name_leads_out_of_the_folder(self, bench: Bench, name: str) -> None:
        with pytest.raises(InputError):
            bench.settings.use_bundle(name)
        assert bench.events[-1][0] == "bundle_refused"

    def test_a_link_out_of_the_folder_is_refused(self, bench: Bench) -> None:
        (bench.folder / "digits.edgebundle").touch()
        (bench.folder / "bundles" / "link").symlink_to(bench.folder / "digits.edgebundle")
        with pytest.raises(EdgeError, match="There is no bundle"):
            bench.settings.use_bundle("link")

    def test_a_bundle_that_proves_nothing_is_not_kept(self, bench: Bench) -> None:
        (bench.folder / "bundles" / "new.edgebundle").touch()
        bench.refuse_model = BadBundle("it answers otherwise", hint="")
        with pytest.raises(BadBundle):
            bench.settings.use_bundle("new.edgebundle")
        assert bench.beginning.file.now.layer.bundle == ""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("telemetry.interval_s", ("telemetry", "interval_s")),
        ("cameras[0].fps", ("cameras", 0, "fps")),
        ("cameras.0.fps", ("cameras", 0, "fps")),
        ("target", ("target",)),
    ],
)
def test_a_path_is_read(text: str, path: tuple[str | int, ...]) -> None:
    assert field_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "[0]", "a[", "a[x]", "a b", "a.b\n", "é", "a" * 300, "0.a"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        field_path(text)


@pytest.mark.parametrize(
    ("before", "now", "over", "why"),
    [
        (Mark(10), Mark(11), True, ""),
        (Mark(10), Mark(10), False, ""),
        (Mark(10), Mark(10), True, "no frame"),
        (Mark(0), Mark(0), True, ""),
        (Mark(10), Mark(10, failed="x"), False, "ended: x"),
        (Mark(10), Mark(12, connected=False), True, "broker"),
        (Mark(10, connected=False), Mark(12, connected=False), True, ""),
        (Mark(10, lost_cameras=frozenset("a")), Mark(12, lost_cameras=frozenset("ab")), False, "b failed"),
    ],
)
def test_worse(before: Mark, now: Mark, over: bool, why: str) -> None:
    assert (why in worse(before, now, over=over)) if why else not worse(before, now, over=over)


SCENE = """\
events:
  zones: [{name: door, polygon: [[0, 0], [1, 0], [1, 1]]}]
  rules: [{name: seen, kind: object}]
frame_data: {deduplicate: motion}
"""


@pytest.mark.parametrize(
    ("before", "after", "changed", "part"),
    [
        ("[1, 1]]}]", "[1, 0.5]]}]", "events.zones[0].polygon", "scenes"),
        ("kind: object}]", "kind: object}, {name: full, kind: occupancy, zone: door}]", "events.rules", "scenes"),
        ("  rules:", "  lines: [{name: gate, points: [[0, 0], [1, 1]]}]\n  rules:", "events.lines", "scenes"),
        ("  rules:", "  tracker: {lost_s: 2}\n  rules:", "events.tracker.lost_s", "scenes"),
        ("deduplicate: motion", "deduplicate: motion, motion_part: 0.01", "frame_data.motion_part", "frame_data"),
    ],
)
def test_scenes_and_the_numbers_of_frame_data_change_while_the_agent_runs(
    tmp_path: Path, before: str, after: str, changed: str, part: str
) -> None:
    bench = Bench(tmp_path, CONFIG + SCENE)
    (tmp_path / "edgesdk.yaml").write_text((CONFIG + SCENE).replace(before, after))
    told = bench.settings.reload()["changed"]
    assert isinstance(told, list)
    assert str(told[0]).startswith(changed)
    assert [name for name, _ in bench.applied] == [part]


@pytest.mark.parametrize(
    ("before", "after", "stuck"),
    [
        ("deduplicate: motion", "deduplicate: hash, motion_part: 0.01", "frame_data.deduplicate"),
        ("deduplicate: motion", "deduplicate: motion, drop_black: true", "frame_data.drop_black"),
        (SCENE, "frame_data: {deduplicate: motion, motion_part: 0.01}\n", "events"),
    ],
)
def test_what_needs_other_wiring_is_refused_as_a_whole_with_its_name(
    tmp_path: Path, before: str, after: str, stuck: str
) -> None:
    bench = Bench(tmp_path, CONFIG + SCENE)
    was = bench.config
    (tmp_path / "edgesdk.yaml").write_text((CONFIG + SCENE).replace(before, after))
    with pytest.raises(InputError, match=f"Nothing was changed: .*{stuck}.* would need a restart"):
        bench.settings.reload()
    assert bench.config is was
    assert bench.applied == []
