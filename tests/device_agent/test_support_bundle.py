"""Secrets are planted wherever one could be, and the whole zip is searched for them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from edgesdk_agent.main import run

SECRETS = {
    "broker": "Br0ker-s3cret",
    "camera": "c@m:p/ss word%",
    "file": "from-a-file-77",
    "environment": "env-token-4711",
    "logged": "logged-pa55",
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "password").write_text(SECRETS["file"] + "\n")
    monkeypatch.setenv("MY_API_TOKEN", SECRETS["environment"])
    monkeypatch.setenv("EDGESDK_MQTT__PASSWORD", SECRETS["broker"])
    (tmp_path / "edgesdk.yaml").write_text(
        f"""
bundle: m.edgebundle
device: {{name: gate-1}}
cameras:
  - {{name: a, source: "rtsp://admin:{quote(SECRETS["camera"], safe="")}@10.0.0.7/live"}}
  - {{name: b, source: "http://u:${{file:{tmp_path}/password}}@10.0.0.8/video"}}
mqtt: {{url: "mqtts://10.0.0.9", username: u}}
"""
    )
    (tmp_path / "agent.log").write_text(
        f"connects with {SECRETS['broker']}\nopens rtsp://admin:{SECRETS['logged']}@10.0.0.7/live\n"
        f"password={SECRETS['logged']} {SECRETS['environment']} {SECRETS['file']} {SECRETS['camera']}\nharmless line\n"
    )
    return tmp_path


def test_no_planted_secret_is_in_the_zip(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = planted / "support.zip"
    words = ["support-bundle", str(out), "--config", str(planted / "edgesdk.yaml"), "--log", str(planted / "agent.log")]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"about.json", "hardware.json", "status.json", "log.txt", "configuration.txt"} <= set(told["parts"])
    with zipfile.ZipFile(out) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert b"harmless line" in members["log.txt"]
    assert b"cameras" in members["configuration.txt"]
    assert json.loads(members["about.json"])["packages"]["numpy"]
    for whose, secret in SECRETS.items():
        for form in (secret, quote(secret, safe="")):
            for name, data in members.items():
                assert form.encode() not in data, f"the secret of the {whose} is in {name}"
    assert out.stat().st_mode & 0o077 == 0


def test_negative_control_the_search_finds_what_is_there(planted: Path) -> None:
    assert SECRETS["logged"].encode() in (planted / "agent.log").read_bytes()


def test_a_part_that_cannot_be_had_is_named_and_the_others_are_there(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = planted / "support.zip"
    assert (
        run(["support-bundle", str(out), "--log", str(planted / "none.log"), "--name", "no-such-agent", "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert {"log.txt", "threads.txt"} <= set(told["left_out"])
    assert "about.json" in told["parts"]
    assert run(["support-bundle", str(planted / "x.tar")]) == 2
