"""`edgesdk config check`: what is wrong with a configuration, and what of it this machine has not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk.cli.app import run

TEXT = """\
bundle: m.edgebundle
cameras:
  - {name: yard, source: films/yard.mp4}
  - {name: door, source: "rtsp://viewer:secret@10.0.0.20/stream2"}
  - {name: desk, source: 0}
mqtt: {url: mqtt://127.0.0.1}
"""


def test_what_is_missing_here_is_named_and_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edgesdk.yaml"
    file.write_text(TEXT)
    assert run(["config", "check", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["cameras"]) == ("valid", 3)
    assert set(told["missing"]) == {"bundle", "cameras[0].source"}
    assert run(["config", "check", str(file)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "is valid. bundle: there is no" in shown
    assert "cameras[0].source: there is no films/yard.mp4" in shown

    (tmp_path / "m.edgebundle").touch()
    (tmp_path / "films").mkdir()
    (tmp_path / "films/yard.mp4").touch()
    assert run(["config", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == {}
