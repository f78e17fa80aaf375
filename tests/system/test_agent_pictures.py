"""The agent as a process: frames left out, and a planted pattern that must leave by no way: broker, files, page, hooks."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_targets.tensor import Array
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.preview_page import page_picture

pytestmark = pytest.mark.system

TOKEN = "token-of-the-test"
HOOK = """
import pathlib
import numpy

def keep(result):
    folder = pathlib.Path(__file__).parent
    numpy.save(folder / f"hook-{result.seq % 2}.npy", result.image)
"""


def planted(folder: Path) -> Path:
    """Write pictures of a hall with a chequered sheet in the upper left corner: the secret."""
    (folder / "frames").mkdir()
    random = np.random.default_rng(4)
    for number in range(12):
        picture = random.integers(60, 90, (240, 320, 3), dtype=np.uint8)
        picture[:80, :96] = np.kron(np.indices((10, 12)).sum(0) % 2, np.ones((8, 8)))[..., None] * 255
        cv2.imwrite(str(folder / "frames" / f"{number:02}.png"), picture)
    return folder / "frames"


def shows_secret(image: Array) -> bool:
    """Say whether the sheet's squares are there: bright and dark ones side by side in the corner, at any size."""
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (320, 240), interpolation=cv2.INTER_AREA)
    corner = small[:64, :80].astype(int)
    return bool((corner > 180).mean() > 0.2 and (corner < 60).mean() > 0.2)


def configuration(folder: Path, bundle: Path, *, masked: bool, before: bool) -> Path:
    (folder / "code").mkdir()
    (folder / "code/keeping.py").write_text(HOOK)
    mask = "{camera: hall, polygon: [[0, 0], [0.35, 0], [0.35, 0.4], [0, 0.4]]}" if masked else ""
    path = folder / "edgesdk.yaml"
    path.write_text(
        f"bundle: {bundle}\nhooks_path: code\nhooks: [{{call: 'keeping:keep', image: true}}]\n"
        f"cameras: [{{name: hall, source: {planted(folder)}, loop: true, live: true, fps: 20}}]\n"
        f"privacy: {{masks: [{mask}], mask_before_inference: {str(before).lower()}}}\n"
        f"pictures: {{enabled: true, folder: kept}}\n"
        f"preview: {{listen: '127.0.0.1:0', token: {TOKEN}, fps: 30}}\n"
    )
    return path


def preview_picture(port: int) -> Array:
    image = cv2.imdecode(np.frombuffer(page_picture(port, TOKEN), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@pytest.mark.parametrize(("masked", "before"), [(True, True), (True, False), (False, True)])
def test_what_is_masked_leaves_by_no_way(digits_bundle: Path, tmp_path: Path, masked: bool, before: bool) -> None:
    config = configuration(tmp_path, digits_bundle, masked=masked, before=before)
    command = [sys.executable, "-m", "edgesdk_agent.main", "run", "--no-mqtt", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as agent:
        killer = threading.Timer(60, agent.kill)
        killer.start()
        try:
            assert agent.stderr is not None
            told = next(line for line in agent.stderr if line.startswith("preview:"))
            assert TOKEN not in told
            found = re.search(r":(\d+)/", told)
            assert found is not None
            seen = preview_picture(int(found[1]))
        finally:
            agent.terminate()
            agent.communicate(timeout=30)
            killer.cancel()
    assert shows_secret(seen) == (not masked)
    hooked = [np.load(path) for path in (tmp_path / "code").glob("hook-*.npy")]
    assert hooked
    assert {shows_secret(image) for image in hooked} == {not masked}


def test_frames_that_show_the_same_are_left_out_and_the_accounts_agree(digits_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "still").mkdir()
    picture = np.random.default_rng(1).integers(40, 200, (240, 320, 3), dtype=np.uint8)
    for number in range(30):
        cv2.imwrite(str(tmp_path / "still" / f"{number:02}.png"), picture if number % 10 else picture[::-1])
    config = tmp_path / "edgesdk.yaml"
    config.write_text(
        f"bundle: {digits_bundle}\ncameras: [{{name: hall, source: still}}]\n"
        "frame_data: {deduplicate: motion, longest_silence_s: 1000}\n"
    )
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, summary = agent.finish()
    assert code == 0, agent.log
    frames = summary["frames"]
    assert (frames["captured"], frames["processed"], frames["dropped"]) == (30, 6, {"duplicate": 24})
    assert summary["frame_data"]["saved_part"] == 0.8


def test_an_event_keeps_the_picture_of_its_frame(digits_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "edgesdk.yaml"
    config.write_text(
        f"bundle: {digits_bundle}\ncameras: [{{name: belt, source: 'conveyor:?frames=60&fps=30&live=0'}}]\n"
        "events: {zones: [{name: all, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}],"
        " rules: [{name: seen, kind: object, zones: [all], snapshot: true}]}\n"
        "pictures: {enabled: true, folder: kept, snapshot_bytes: 20000}\n"
    )
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, summary = agent.finish()
    assert code == 0, agent.log
    kept = list((tmp_path / "kept").glob("belt-*.jpg"))
    assert kept
    assert len(kept) == summary["snapshots"]["taken"] == summary["snapshots"]["stored"]
    assert all(path.stat().st_size <= 20_000 and cv2.imread(str(path)) is not None for path in kept)
