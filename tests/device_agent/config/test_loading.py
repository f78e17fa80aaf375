from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesdk_agent.agent_queue import open_queue
from edgesdk_agent.arguments import flags_of, parser_for
from edgesdk_agent.cameras.source_forms import SOURCE_FORMS
from edgesdk_agent.config.loading import EffectiveValue, LoadedConfig, config_schema, effective, load_config
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.tuned_model import hint_of
from edgesdk_targets.errors import InputError
from edgesdk_targets.tuning.setting import Hint

MINIMAL = """\
device: {name: cam1}
bundle: m.edgebundle
cameras:
  - name: door
    source: rtsp://user:${env:CAMERA}@10.0.0.2/1
mqtt:
  url: mqtt://broker
"""


def _write(folder: Path, text: str = MINIMAL) -> Path:
    path = folder / "edgesdk.yaml"
    path.write_text(text)
    return path


def _load(path: Path | None, environment: dict[str, str] | None = None, **options: Any) -> LoadedConfig:
    return load_config(path, environment={"CAMERA": "hunter2", **(environment or {})}, **options)


def _refused(path: Path | None, environment: dict[str, str] | None = None, **options: Any) -> InputError:
    with pytest.raises(InputError) as wrong:
        _load(path, environment, **options)
    assert "hunter2" not in str(wrong.value)
    assert wrong.value.hint
    return wrong.value


def _origins(loaded: LoadedConfig) -> dict[str, EffectiveValue]:
    return {line.path: line for line in effective(loaded)}


def test_a_file_becomes_a_frozen_configuration(tmp_path: Path) -> None:
    config = _load(_write(tmp_path)).config
    assert config.bundle == tmp_path / "m.edgebundle"
    assert config.cameras[0].source.reveal() == "rtsp://user:hunter2@10.0.0.2/1"
    assert config.cameras[0].mode == "auto"
    assert str(config.device.node) == "local.cam1"
    assert config.mqtt.address().port == 1883
    assert config.mqtt.tls() is None
    with pytest.raises(ValueError, match="frozen"):
        config.target = "x"  # type: ignore[misc]


def test_flags_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "  keepalive_s: 20\n  will_delay_s: 21\n  client_id: from-file\n")
    environment = {"EDGESDK_MQTT__KEEPALIVE_S": "30", "EDGESDK_MQTT__WILL_DELAY_S": "31"}
    loaded = _load(path, environment, flags={"mqtt.keepalive_s": 40, "target": None})
    mqtt = loaded.config.mqtt
    assert (mqtt.keepalive_s, mqtt.will_delay_s, mqtt.client_id, mqtt.connect_timeout_s) == (40, 31, "from-file", 5.0)
    lines = _origins(loaded)
    assert lines["mqtt.keepalive_s"].origin == "flag mqtt.keepalive_s"
    assert lines["mqtt.will_delay_s"].origin == "environment EDGESDK_MQTT__WILL_DELAY_S"
    assert lines["mqtt.client_id"].origin == f"{path}:10"
    assert lines["mqtt.connect_timeout_s"].origin == "default"


def test_every_value_is_listed_with_its_origin(tmp_path: Path) -> None:
    lines = _origins(_load(_write(tmp_path)))
    some = {"device.name", "device.tenant", "bundle", "target", "cameras[0].fps", "mqtt.ca", "queue.max_bytes"}
    assert some <= set(lines)
    assert lines["mqtt.ca"] == EffectiveValue("mqtt.ca", "(not set)", "default")


def test_flags_alone_are_enough(tmp_path: Path) -> None:
    flags = {"bundle": "b", "cameras": [{"name": "c", "source": "0"}], "mqtt.url": "mqtts://x", "device.name": "d"}
    config = _load(None, flags=flags).config
    assert config.bundle == Path("b")
    assert config.mqtt.address().tls


def test_a_metered_uplink_holds_the_files_cap_or_the_usual_one_and_needs_an_outbox(tmp_path: Path) -> None:
    flags = flags_of(parser_for("edgesdk-agent").parse_args(["run", "--metered"]))
    assert flags["outbox.metered"] is True
    assert flags_of(parser_for("edgesdk-agent").parse_args(["run"]))["outbox.metered"] is None
    path = _write(tmp_path, MINIMAL)
    assert _load(path).config.outbox.bytes_per_day() == 0
    config = _load(path, flags=flags).config
    assert config.outbox.bytes_per_day() == 16_000_000
    with pytest.raises(InputError, match="no outbox to wait in"):
        open_queue(config, mqtt=True)
    open_queue(config, mqtt=False)
    path = _write(tmp_path, MINIMAL + f"outbox: {{path: '{tmp_path}/o.db', metered_bytes_per_day: 5000000}}\n")
    config = _load(path, flags=flags).config
    queue = open_queue(config, mqtt=True)
    assert not isinstance(queue, ReportQueue)
    assert queue.settings.metered_bytes_per_day == 5_000_000
    queue.close()


def test_an_address_or_a_bundle_longer_than_any_files_name_ends_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL.replace("m.edgebundle", "b" * 5000).replace("/1", "/1?token=" + "t" * 2000))
    config = _load(path).config
    assert hint_of(config) is Hint.AGE


def test_a_list_from_a_stronger_place_replaces_the_whole_list(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL.replace("source:", "mode: freshest\n    source:"))
    by_flag = _load(path, flags={"cameras": [{"name": "other", "source": "0"}]}).config
    assert [(c.name, c.mode) for c in by_flag.cameras] == [("other", "auto")]
    by_environment = _load(path, {"EDGESDK_CAMERAS": "[{name: other, source: 0}]"}).config
    assert [(c.name, c.mode, c.source.reveal()) for c in by_environment.cameras] == [("other", "auto", "0")]


def test_the_environment_reaches_into_lists(tmp_path: Path) -> None:
    config = _load(_write(tmp_path), {"EDGESDK_CAMERAS__0__NAME": "gate"}).config
    assert (config.cameras[0].name, config.cameras[0].source.reveal()) == ("gate", "rtsp://user:hunter2@10.0.0.2/1")


def test_other_variables_are_left_alone_and_mistyped_ones_are_not(tmp_path: Path) -> None:
    path = _write(tmp_path)
    assert _load(path, {"EDGESDK_ASSETS": "/x", "EDGESDKX": "1", "PATH": "/bin"})
    assert "EDGESDK_MQTT__URL" in _refused(path, {"EDGESDK_MQT__URL": "mqtt://x"}).hint
    assert "did you mean 'keepalive_s'" in _refused(path, {"EDGESDK_MQTT__KEEPALIVE": "5"}).message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("source:", "sourze:"), ":5: field cameras[0].sourze: is not known; did you mean 'source'?"),
        (("mqtt:", "mqqt:"), ": field mqqt: is not known; did you mean 'mqtt'?"),
        (("bundle: m.edgebundle\n", ""), "field bundle: is required, but missing"),
        (("url: mqtt://broker", "url: http://broker"), ":7: field mqtt.url:"),
        (("url: mqtt://broker", "url: mqtt://u:hunter2@broker/x"), ":7: field mqtt.url:"),
        (("url: mqtt://broker", "url: [a]"), ":7: field mqtt.url"),
        (("{name: cam1}", "{name: cam 1}"), ":1: field device.name: name 'cam 1' is not a name"),
        (("{name: cam1}", "cam1"), ":1: field device:"),
        (("url: mqtt://broker", "url: mqtt://broker\n  keepalive_s: soon"), ":8: field mqtt.keepalive_s:"),
        (("url: mqtt://broker", "url: mqtt://broker\n  keepalive_s: 0"), ":8: field mqtt.keepalive_s:"),
        (("url: mqtt://broker", "url: mqtt://broker\n  max_results_per_s: .nan"), ":8: field mqtt.max_results_per_s:"),
        (("  - name: door", "  - mode: fast\n    name: door"), ":4: field cameras[0].mode:"),
        (("  - name: door", "  - name: door\n    fps: 0"), ":5: field cameras[0].fps:"),
        (("  - name: door", "  - {name: door, source: 1}\n  - name: door"), ":4: field cameras: the name 'door'"),
        (("url: mqtt://broker", "url: mqtt://broker\n  ca: ca.pem"), "ca is given, but url is mqtt://"),
        (("url: mqtt://broker", "url: mqtt://broker\n  insecure: true"), "insecure is given, but url is mqtt://"),
        (("cameras:", "cameras: ["), "not valid YAML"),
        (
            ("cameras:", "hooks: [{call: users.note}]\ncameras:"),
            ":3: field hooks[0].call: 'users.note' names no function",
        ),
        (("cameras:", "hooks: [{call: 'os;x:system()'}]\ncameras:"), ":3: field hooks[0].call:"),
        (("cameras:", "hooks: [{call: 'a:b', isolate: jail}]\ncameras:"), ":3: field hooks[0].isolate:"),
        (("cameras:", "stages: {on_frame: 'a:class'}\ncameras:"), ":3: field stages.on_frame:"),
        (
            ("cameras:", "stages: {on_result: 'a:b', queue: 9}\ncameras:"),
            "queue is given, and nothing waits for what runs",
        ),
        (
            ("cameras:", "hooks: [{call: 'a:b', isolate: inline, when_full: wait}]\ncameras:"),
            "when_full is given, and noth",
        ),
        ((MINIMAL, "[]"), "must be fields with values"),
        ((MINIMAL, ""), "field bundle: is required"),
    ],
    ids=range(25),
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = _write(tmp_path, MINIMAL.replace(*change))
    error = _refused(path)
    assert said in error.message
    assert str(path) in error.message


def test_an_empty_list_of_cameras_is_refused_in_one_line(tmp_path: Path) -> None:
    error = _refused(_write(tmp_path), flags={"cameras": []})
    assert error.message == "flag cameras: field cameras: at least one camera is needed"


def test_without_a_broker_it_must_be_wanted(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL.replace("mqtt:\n  url: mqtt://broker\n", ""))
    error = _refused(path)
    assert error.message == "No broker is set."
    assert "--no-mqtt" in error.hint
    loaded = _load(path, no_mqtt=True)
    with pytest.raises(InputError):
        loaded.config.mqtt.address()


def test_an_empty_section_takes_its_defaults(tmp_path: Path) -> None:
    assert _load(_write(tmp_path, MINIMAL + "telemetry:\n")).config.telemetry.interval_s == 10


def test_a_part_of_a_trial_is_switched_off_by_a_word(tmp_path: Path) -> None:
    """`null` means "not given", as everywhere: it leaves the default."""
    (tmp_path / "me.pub").touch()
    told = MINIMAL + "update: {keys: [me.pub], unlike: %s, growth_mb: %s}\n"
    found = []
    for word in ("off", "null", "8"):
        update = _load(_write(tmp_path, told % (word, word))).config.update
        assert update is not None
        limits = update.gate(100.0)
        found.append((limits.unlike, limits.growth_mb))
    assert found == [(None, None), (4.0, 32.0), (8.0, 8.0)]


class TestSecrets:
    def test_no_secret_is_printed(self, tmp_path: Path) -> None:
        text = MINIMAL.replace("mqtt://broker", "mqtt://u:hunter2@broker") + "  password: hunter2\n"
        loaded = _load(_write(tmp_path, text), {"EDGESDK_MQTT__USERNAME": "me"})
        assert "hunter2" not in repr(loaded.config)
        assert "hunter2" not in str([*effective(loaded)])
        password = loaded.config.mqtt.address().password
        assert password is not None
        assert password.get_secret_value() == "hunter2"
        assert loaded.config.mqtt.address().username == "me"

    def test_a_reference_is_shown_as_written(self, tmp_path: Path) -> None:
        loaded = _load(_write(tmp_path, MINIMAL + "  password: ${env:PW}\n"), {"PW": "hunter2"})
        assert _origins(loaded)["mqtt.password"].value == "${env:PW}"
        assert "hunter2" not in f"{loaded.config!r}{loaded.config.cameras[0].source}"

    def test_a_file_holds_a_secret(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("hunter2\n")
        loaded = _load(_write(tmp_path, MINIMAL + "  password: ${file:pw}\n"))
        password = loaded.config.mqtt.password
        assert password is not None
        assert password.get_secret_value() == "hunter2"

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("${env:NOT_SET}", "the environment has no NOT_SET"),
            ("${file:none}", "none cannot be read"),
            ("${file:.}", "cannot be read"),
            ("${vault:x}", "unknown reference ${vault:x}"),
            ("${X}", "unknown reference ${X}"),
        ],
    )
    def test_a_reference_to_nothing_names_its_place(self, tmp_path: Path, reference: str, said: str) -> None:
        error = _refused(_write(tmp_path, MINIMAL + f"  password: {reference}\n"))
        assert said in error.message
        assert ":8: field mqtt.password:" in error.message

    def test_a_huge_or_binary_file_is_no_secret(self, tmp_path: Path) -> None:
        (tmp_path / "big").write_bytes(b"x" * 100_000)
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for name in ("big", "binary"):
            assert name in _refused(_write(tmp_path, MINIMAL + f"  password: ${{file:{name}}}\n")).message


class TestPaths:
    def test_paths_in_the_file_are_relative_to_it_and_others_are_not(self, tmp_path: Path) -> None:
        (tmp_path / "clip.mp4").touch()
        (tmp_path / "0").touch()
        cameras = "cameras: [{name: a, source: clip.mp4}, {name: b, source: synthetic}, {name: c, source: 0}]\n"
        path = _write(tmp_path, f"bundle: b\nmqtt: {{url: mqtts://x, ca: ca.pem}}\n{cameras}")
        config = _load(path, {"EDGESDK_MQTT__CERT": "cert.pem"}, flags={"mqtt.key": "key.pem"}).config
        assert [c.source.reveal() for c in config.cameras] == [str(tmp_path / "clip.mp4"), "synthetic", "0"]
        mqtt = config.mqtt
        assert (mqtt.ca, mqtt.cert, mqtt.key) == (tmp_path / "ca.pem", Path("cert.pem"), Path("key.pem"))

    def test_absolute_paths_stay(self, tmp_path: Path) -> None:
        config = _load(_write(tmp_path, MINIMAL.replace("m.edgebundle", "/opt/m.edgebundle"))).config
        assert config.bundle == Path("/opt/m.edgebundle")

    def test_a_certificate_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        path = _write(tmp_path, MINIMAL.replace("mqtt://broker", "mqtts://broker\n  ca: ca.pem"))
        with pytest.raises(InputError, match=r"ca\.pem cannot be read"):
            _load(path).config.mqtt.tls()


def test_the_schema_is_published_and_covers_every_section() -> None:
    schema = config_schema()
    json.dumps(schema, allow_nan=False)
    properties: Any = schema["properties"]
    assert set(properties) == set(AgentConfig.model_fields)
    assert schema["additionalProperties"] is False


def test_the_published_schema_is_the_one_in_use() -> None:
    published = json.loads((Path(__file__).parents[3] / "docs/edgesdk.schema.json").read_text())
    assert published == config_schema(), "run: edgesdk config schema > docs/edgesdk.schema.json"


class TestWhatABundleProposes:
    def test_it_holds_where_nothing_stronger_does(self, tmp_path: Path) -> None:
        from edgesdk_testkit.tiny_bundles import write_tiny_bundle

        proposal = {"telemetry": {"interval_s": 60, "samples_per_message": 6}, "pipeline": {"threads": 2}}
        write_tiny_bundle(tmp_path / "m.edgebundle", extra={"agent.json": json.dumps(proposal).encode()})
        loaded = _load(_write(tmp_path, MINIMAL + "telemetry: {interval_s: 5}\n"), {"EDGESDK_PIPELINE__THREADS": "1"})
        config = loaded.config
        assert (config.telemetry.interval_s, config.telemetry.samples_per_message) == (5, 6)
        assert config.pipeline.threads == 1
        lines = _origins(loaded)
        assert lines["telemetry.samples_per_message"].origin.startswith("bundle ")
        assert lines["telemetry.interval_s"].origin.endswith("edgesdk.yaml:8")

    @pytest.mark.parametrize(
        ("proposal", "said"),
        [
            ({"hooks": [{"call": "a:b"}]}, "hooks[0].call: is not for a bundle to say"),
            ({"mqtt": {"url": "mqtt://elsewhere"}}, "mqtt.url: is not for a bundle to say"),
            ({"telemetry": {"interval_s": "${env:CAMERA}"}}, "asks for a secret"),
            ({"telemetry": {"interval": 5}}, "did you mean 'interval_s'"),
        ],
    )
    def test_it_says_nothing_that_is_not_its_business(
        self, tmp_path: Path, proposal: dict[str, object], said: str
    ) -> None:
        from edgesdk_testkit.tiny_bundles import write_tiny_bundle

        write_tiny_bundle(tmp_path / "m.edgebundle", extra={"agent.json": json.dumps(proposal).encode()})
        assert said in _refused(_write(tmp_path)).message


def test_every_kind_of_source_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs/configuration.md").read_text()
    table = text.split("## Sources", 1)[1].split("##", 1)[0]
    assert table.count("\n| `") == len(SOURCE_FORMS)
    for form in SOURCE_FORMS:
        assert all(scheme in table for scheme in re.findall(r"[a-z]+:", form.form)), form


def test_the_documented_configuration_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/configuration.md").read_text()
    example = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    fields = yaml.safe_load(example)
    config = _load(_write(tmp_path, example), {"CAM_PASSWORD": "x", "MQTT_PASSWORD": "y"}).config
    assert set(fields) == set(type(config).model_fields), "every section is shown"
    for section, value in fields.items():
        model = getattr(config, section)
        listed = section in {"cameras", "hooks"}
        given = value[0] if listed else value
        known = type(model[0] if listed else model)
        if hasattr(known, "model_fields"):
            assert set(given) == set(known.model_fields), f"every field of {section} is shown"


def test_the_bundle_of_a_rung_is_found_beside_the_file_or_missed_at_the_start(tmp_path: Path) -> None:
    ladder = "governor: {enabled: true, ladder: [{rate: 0.5}, {bundle: small.edgebundle}]}\n"
    governor = _load(_write(tmp_path, MINIMAL + ladder)).config.governor
    assert governor.ladder[1].bundle == tmp_path / "small.edgebundle"
    with pytest.raises(InputError, match=r"governor\.ladder\[1\]\.bundle: there is no "):
        governor.check_bundles()
    (tmp_path / "small.edgebundle").touch()
    governor.check_bundles()
