from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import json, os, sys
import edgesdk_agent.pipeline, edgesdk_agent.cameras.opencv_sources, cv2
before = [sys.getswitchinterval(), cv2.getNumThreads(), os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")]
from edgesdk_agent.pipeline_settings import apply_pipeline_settings
apply_pipeline_settings()
after = [sys.getswitchinterval(), cv2.getNumThreads(), os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")]
print(json.dumps([before, after]))
"""


def settings(**environment: str) -> tuple[list[object], list[object]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    answer = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True, env={**clean, **environment}
    )
    before, after = json.loads(answer.stdout)
    return before, after


def test_they_are_made_when_asked_and_not_on_import() -> None:
    before, after = settings()
    assert before[0] == 0.005
    assert before[2] is None
    assert after == [0.0005, 1, "rtsp_transport;tcp|fpsprobesize;2"]


def test_the_environment_wins() -> None:
    _, after = settings(OPENCV_FFMPEG_CAPTURE_OPTIONS="rtsp_transport;udp")
    assert after[2] == "rtsp_transport;udp"


@pytest.mark.parametrize("level", ["", "WARNING"])
def test_a_file_that_is_no_video_is_an_error_and_no_warning_of_opencvs_beside_it(tmp_path: Path, level: str) -> None:
    path = tmp_path / "no.mp4"
    path.write_text("hello")
    code = f"""
from edgesdk_agent.pipeline_settings import apply_pipeline_settings
apply_pipeline_settings()
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_targets.errors import InputError
try:
    open_camera({str(path)!r})
except InputError as error:
    print(error.message)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    if level:
        environment["OPENCV_LOG_LEVEL"] = level
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "no video that can be decoded" in done.stdout
    # Who asks for them sees them: negative control.
    assert ("WARN" in done.stderr) is bool(level)
