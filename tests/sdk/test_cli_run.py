"""`edgesdk run`: what is found is printed, drawn and saved; what goes wrong while drawing ends the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgesdk import embedded_model
from edgesdk.cli.app import run
from edgesdk.video_file import VideoFile
from edgesdk_targets.errors import InputError
from edgesdk_targets.loading import Loaded
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.tuning import tuned_loading
from edgesdk_targets.tuning.setting import Hint
from edgesdk_targets.tuning.tune import TunedOptions

FRAMES = "conveyor:?frames=12&live=0"


def frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def test_each_frame_is_told_in_a_line(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(digits_bundle), "--source", FRAMES]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [int(re.match(r" *(\d+) +\d+\.\d ms  \d 0\.\d\d", line)[1]) for line in lines] == list(range(12))  # type: ignore[index]
    assert "12 of 12 frames" in captured.err


def test_json_is_the_only_thing_on_stdout(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["frames"] == {"captured": 12, "processed": 12, "dropped": {}, "in_flight": 0}
    assert document["variant"] in {"generic-onnx-onnxruntime-fp32", "x86-cpu-openvino-fp32"}
    assert set(document["age_ms"]) == {"p50", "p95", "p99"}


def test_streams_and_threads_are_those_asked_for(
    digits_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[SessionOptions] = []
    load = embedded_model.load_variant

    def noted(bundle: Path, **how: Any) -> Loaded:
        asked.append(how["options"])
        return load(bundle, **how)

    monkeypatch.setattr(embedded_model, "load_variant", noted)
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--threads", "1", "--streams", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"]["processed"] == 12
    assert [(options.threads, options.streams) for options in asked] == [(1, 2)]


def test_a_hint_is_tuned_for_and_chooses_threads_itself(
    digits_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Hint] = []

    def tuned(_bundle: object, hint: Hint, *_: object) -> TunedOptions:
        asked.append(hint)
        return TunedOptions(None, SessionOptions(threads=1, streams=2), "it is best")

    monkeypatch.setattr(tuned_loading, "tuned_options", tuned)
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--hint", "throughput"]) == 0
    assert asked == [Hint.THROUGHPUT]
    assert "12 of 12 frames" in capsys.readouterr().err
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--hint", "age", "--streams", "2"]) == 2
    assert "A hint chooses threads and streams." in capsys.readouterr().err
    assert asked == [Hint.THROUGHPUT]


def test_the_saved_video_has_every_frame(digits_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "seen.mp4"
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--save", str(path)]) == 0
    assert frame_count(path) == 12
    assert [entry.name for entry in path.parent.iterdir()] == ["seen.mp4"]


@pytest.mark.parametrize("name", ["seen.txt", "taken", "file/seen.mp4"])
def test_a_place_that_cannot_be_saved_to_is_refused_before_the_first_frame(
    digits_bundle: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--save", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "of 12 frames" not in captured.err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "taken"]


def test_what_fails_while_saving_ends_the_run_with_its_error(
    digits_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[int] = []

    def write(self: VideoFile, image: object) -> None:
        written.append(1)
        raise InputError("The writer broke.", hint="Mend it.")

    monkeypatch.setattr(VideoFile, "write", write)
    # The source has no end: only the error ends the run.
    arguments = ["run", str(digits_bundle), "--source", "conveyor:?fps=200", "--save", str(tmp_path / "seen.mp4")]
    assert run(arguments) == 2
    assert "The writer broke." in capsys.readouterr().err
    assert written == [1]
    assert not list(tmp_path.iterdir())


def test_show_without_a_display_serves_a_page(
    digits_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--show"]) == 0
    assert "shown in http://127.0.0.1:" in capsys.readouterr().err


def test_an_unknown_mode_is_a_usage_error(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--mode", "fast"]) == 2
    assert "--mode freshest" in capsys.readouterr().err


def test_a_target_that_is_not_in_the_bundle_cannot_run(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--target", "rpi4"]) == 4
    assert "no variant for target 'rpi4'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["way.html", "way.json"])
def test_a_profile_tells_where_the_time_of_each_frame_went(digits_bundle: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--profile", str(path)]) == 0
    if name.endswith("html"):
        page = path.read_text()
        assert "waits for the model" in page
        assert "<svg" in page
    else:
        events = json.loads(path.read_text())["traceEvents"]
        done = [(event["name"], event["args"]["frame"]) for event in events if event["ph"] == "X"]
        stages = ("capture", "preprocess", "infer", "deliver")
        assert sorted(done) == sorted((stage, frame) for stage in stages for frame in range(12))


def test_a_profile_of_another_kind_is_refused_before_the_first_frame(
    digits_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "way.svg"
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--profile", str(path)]) == 2
    assert "cannot be written as way.svg" in capsys.readouterr().err
    assert not path.exists()


def test_a_profile_that_could_not_be_written_is_refused_before_the_first_frame(
    digits_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Also root, to whom all rights are given, cannot make a file there.
    assert run(["run", str(digits_bundle), "--source", FRAMES, "--profile", "/proc/x.html"]) == 2
    said = capsys.readouterr()
    assert "Choose another --profile" in said.err
    assert said.out == ""
