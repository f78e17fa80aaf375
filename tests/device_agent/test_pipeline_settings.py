from __future__ import annotations

import json
import os
import subprocess
import sys

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
