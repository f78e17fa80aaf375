"""Every example runs as its first lines say, and uses public names only."""

from __future__ import annotations

import ast
import json
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

import edgesdk
from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUN_HERE = {
    "classify_a_picture.py",
    "convert_a_live_module.py",
    "count_across_a_line.py",
    "detect_in_a_video.py",
    "fastapi_app.py",
    "opencv_window.py",
    "own_camera.py",
    "read_mqtt.py",
}
NOTEBOOK = EXAMPLES / "notebook.ipynb"
TIMEOUT_S = 120


def example(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=TIMEOUT_S, check=False)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    return edgesdk.convert(EXAMPLES / "digits/classifier.yaml", "generic-onnx", output=folder).path


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Path, int]:
    """One digit of the test split, with what it is."""
    from edgesdk_agent.cameras.conveyor import load_digits

    images, labels = load_digits()
    path = tmp_path / "digit.png"
    cv2.imwrite(str(path), cv2.resize(images[0] * 15, (32, 32), interpolation=cv2.INTER_LINEAR))
    return path, int(labels[0])


def test_all_examples_are_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == RUN_HERE


def test_count_across_a_line(digits_bundle: Path, tmp_path: Path) -> None:
    done = example("count_across_a_line.py", digits_bundle, "conveyor:?frames=90&live=0&seed=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    crossed = [line for line in lines if line.endswith("goes in")]
    assert len(crossed) > 5
    assert lines[-1] == str({"in": len(crossed)})
    assert any(re.fullmatch(r"frame \d+: \d stayed 0\.\d+ s", line) for line in lines)


def _private_names(code: str) -> list[str]:
    """Return what a program takes from edgesdk beside its public names."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("edgesdk") and a.name != "edgesdk"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgesdk"):
            found.append(str(node.module))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgesdk":
            found += [] if node.attr in edgesdk.__all__ else [node.attr]
    return found


@pytest.mark.parametrize("name", sorted(RUN_HERE))
def test_an_example_uses_public_names(name: str) -> None:
    assert _private_names((EXAMPLES / name).read_text()) == []


@pytest.mark.parametrize(
    "code", ["import edgesdk.preview", "from edgesdk_targets.model import Model", "import edgesdk\nedgesdk._hidden()"]
)
def test_private_names_are_noticed(code: str) -> None:
    """Negative control of the test above."""
    assert _private_names(code)


@pytest.mark.parametrize("name", sorted(RUN_HERE))
def test_the_first_lines_show_how_it_is_called(name: str) -> None:
    code = (EXAMPLES / name).read_text()
    assert f"python {name}" in (ast.get_docstring(ast.parse(code)) or "")
    assert 20 <= len(code.splitlines()) <= 110


def test_classify_a_picture(classifier: Path, picture: tuple[Path, int], tmp_path: Path) -> None:
    path, label = picture
    done = example("classify_a_picture.py", classifier, path, path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *answers = done.stdout.splitlines()
    assert first.startswith("digits-classifier 1.0.0: generic-onnx-onnxruntime-fp32, run by onnxruntime")
    assert len(answers) == 2
    assert all(re.fullmatch(rf"digit\.png: {label} \(\d+\.\d%\)", answer) for answer in answers)


def test_classify_a_picture_explains_what_is_wrong(
    classifier: Path, digits_bundle: Path, picture: tuple[Path, int], tmp_path: Path
) -> None:
    for bundle, path, says in (
        (tmp_path / "absent.edgebundle", picture[0], "cannot be read"),
        (classifier, tmp_path / "absent.png", "absent.png"),
        (digits_bundle, picture[0], "is no classifier"),
    ):
        done = example("classify_a_picture.py", bundle, path, cwd=tmp_path)
        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_detect_in_a_video(digits_bundle: Path, tmp_path: Path) -> None:
    done = example("detect_in_a_video.py", digits_bundle, "conveyor:?frames=20&live=0&seed=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *frames, stats, counts = done.stdout.splitlines()
    assert [int(re.match(r"frame (\d+), \d+ ms old: \d", line)[1]) for line in frames] == list(range(20))  # type: ignore[index]
    assert stats.startswith("20 of 20 frames at ")
    assert re.fullmatch(r"(\d: \d+(, )?)+", counts)


def test_detect_in_a_video_stops_cleanly_on_ctrl_c(digits_bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-u", str(EXAMPLES / "detect_in_a_video.py"), str(digits_bundle), "conveyor:?fps=30"]
    with _running(command, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("frame 0")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert "stopping" in out
    assert re.search(r"(\d+) of \1 frames|dropped", out)


def test_read_mqtt(digits_bundle: Path, tmp_path: Path) -> None:
    with Broker(port=0) as broker:
        command = [sys.executable, "-u", str(EXAMPLES / "read_mqtt.py"), "--port", str(broker.port), "--count", "5"]
        with _running(command, tmp_path) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "listening to edgesdk/1/+/up/result\n"
            source = "conveyor:?frames=8&live=0"
            arguments = ("--bundle", digits_bundle, "--source", source, "--broker", broker.address, "--name", "gate-1")
            with AgentProcess(*arguments) as agent:
                out, err = reader.communicate(timeout=TIMEOUT_S)
                code, _ = agent.finish()
    assert (reader.returncode, code) == (0, 0), err + agent.log
    lines = out.splitlines()
    assert len(lines) == 5
    for number, line in enumerate(lines):
        assert re.match(rf"local\.gate-1 camera frame {number}: \d [01]\.\d\d", line)


def test_read_mqtt_without_a_broker_says_so(tmp_path: Path) -> None:
    done = example("read_mqtt.py", "--port", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "no broker at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_convert_a_live_module(tmp_path: Path) -> None:
    done = example("convert_a_live_module.py", "--output", tmp_path / "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["live-classifier-1.0.0.edgebundle"]
    assert re.search(r"generic-onnx-onnxruntime-fp32: \d+\.\d+ dB, measured", done.stdout)
    assert re.search(r"'label': '(apple|pear|plum)'", done.stdout)


class TestWebService:
    def test_pictures_latest_and_live(self, digits_bundle: Path, tmp_path: Path) -> None:
        pytest.importorskip("fastapi")
        pytest.importorskip("uvicorn")
        from edgesdk_agent.cameras.conveyor import ConveyorCamera

        picture = ConveyorCamera(seed=1, live=False).read(None)
        assert picture is not None
        arguments = [str(digits_bundle), "--source", "conveyor:?fps=30", "--port", "0"]
        with _running([sys.executable, "-u", str(EXAMPLES / "fastapi_app.py"), *arguments], tmp_path) as process:
            assert process.stderr is not None
            found = next(m for line in process.stderr if (m := re.search(r"running on (http://[\d.]+:\d+)", line)))
            with urlopen(f"{found[1]}/picture", cv2.imencode(".png", picture)[1].tobytes(), TIMEOUT_S) as answer:
                objects = json.load(answer)["objects"]
            with edgesdk.load(digits_bundle) as model:
                assert objects == model(picture).to_json()["objects"]
                assert objects
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{found[1]}/picture", b"no picture", TIMEOUT_S)
            assert refused.value.code == 415
            refused.value.close()
            with urlopen(f"{found[1]}/live", timeout=TIMEOUT_S) as live:
                start = live.read(60)
            assert start.startswith(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8")
            # A picture has been shown, so there is a result.
            with urlopen(f"{found[1]}/latest", timeout=TIMEOUT_S) as answer:
                assert json.load(answer)["result"]["kind"] == "detections"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err

    def test_a_camera_that_cannot_be_read_is_told(self, digits_bundle: Path, tmp_path: Path) -> None:
        pytest.importorskip("fastapi")
        pytest.importorskip("uvicorn")
        arguments = [str(digits_bundle), "--source", "absent.mp4", "--port", "0"]
        with _running([sys.executable, "-u", str(EXAMPLES / "fastapi_app.py"), *arguments], tmp_path) as process:
            assert process.stderr is not None
            found = next(m for line in process.stderr if (m := re.search(r"running on (http://[\d.]+:\d+)", line)))
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{found[1]}/latest", timeout=TIMEOUT_S)
            assert refused.value.code == 503
            assert "There is no camera, file or folder" in json.load(refused.value)["detail"]
            refused.value.close()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIMEOUT_S)


class TestWindow:
    def test_without_a_display_it_prints(self, digits_bundle: Path, tmp_path: Path) -> None:
        source = "conveyor:?frames=50&live=0"
        done = example("opencv_window.py", digits_bundle, source, "--headless", "--frames", 5, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == 5
        for number, line in enumerate(lines):
            assert re.fullmatch(rf"frame {number}: \d+ objects, \d+ ms old", line)

    def test_what_is_no_detector_is_told(self, classifier: Path, tmp_path: Path) -> None:
        done = example("opencv_window.py", classifier, "conveyor:?frames=5&live=0", "--headless", cwd=tmp_path)
        assert done.returncode == 1
        assert "is no detector" in done.stderr

    def test_it_shows_each_picture_with_what_was_found_until_q_is_pressed(
        self, digits_bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a machine with a display: what is shown and asked is OpenCV's own window, whose two calls are noted."""
        shown: list[tuple[str, np.ndarray]] = []
        keys = iter([-1, -1, ord("q")])
        monkeypatch.setenv("DISPLAY", ":77")
        monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GUI:                           GTK3")
        monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append((title, image.copy())))
        monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys))
        program = EXAMPLES / "opencv_window.py"
        monkeypatch.setattr(sys, "argv", [str(program), str(digits_bundle), "conveyor:?frames=50&live=0"])
        runpy.run_path(str(program), run_name="__main__")
        assert [title for title, _ in shown] == ["edgesdk"] * 3
        assert all((image == (0, 200, 0)).all(axis=2).sum() > 50 for _, image in shown)


class TestOwnCamera:
    SIZE = (320, 240)

    def pictures(self) -> bytes:
        from edgesdk_agent.cameras.conveyor import ConveyorCamera

        camera = ConveyorCamera(seed=1, live=False)
        taken = [camera.read(None) for _ in range(4)]
        return b"".join(cv2.resize(one, self.SIZE).tobytes() for one in taken if one is not None)

    def run(self, bundle: Path, given: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, str(EXAMPLES / "own_camera.py"), str(bundle), "--size", "320x240"]
        return subprocess.run(command, input=given, capture_output=True, cwd=cwd, timeout=TIMEOUT_S, check=False)

    def test_each_picture_that_was_written_has_its_result(self, digits_bundle: Path, tmp_path: Path) -> None:
        done = self.run(digits_bundle, self.pictures(), tmp_path)
        assert done.returncode == 0, done.stderr
        *frames, counts = done.stdout.decode().splitlines()
        assert counts == "4 of 4 frames"
        found = [re.fullmatch(rf"frame {number}: (\d+) objects", line) for number, line in enumerate(frames)]
        assert len(found) == 4
        assert all(match and int(match[1]) for match in found)

    def test_a_stream_that_ends_within_a_picture_is_told(self, digits_bundle: Path, tmp_path: Path) -> None:
        done = self.run(digits_bundle, self.pictures()[:-1], tmp_path)
        assert done.returncode == 1
        # Of those before it there are results as far as the model was quick enough.
        assert b"frame 3: " not in done.stdout
        assert b"error: The stream ends within a picture." in done.stderr
        assert b"Traceback" not in done.stderr

    def test_a_size_that_is_none_is_told(self, tmp_path: Path) -> None:
        done = example("own_camera.py", "absent", "--size", "big", cwd=tmp_path)
        assert done.returncode == 2
        assert "invalid size value: 'big'" in done.stderr


class TestNotebook:
    def cells(self) -> list[str]:
        cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
        assert all(not cell.get("outputs") for cell in cells)
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    def test_its_cells_run_in_their_order(self, root: Path, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        (tmp_path / "examples").symlink_to(root / "examples")
        code = "import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(self.cells())
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint(len(result), len(again), len(axes.patches))\n"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found, answers, drawn = map(int, done.stdout.split())
        assert found == drawn >= 3
        assert answers == 2

    def test_it_uses_public_names(self) -> None:
        assert [name for cell in self.cells() for name in _private_names(cell)] == []


@contextmanager
def _running(command: list[str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
