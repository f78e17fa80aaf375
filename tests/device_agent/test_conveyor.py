"""The conveyor camera: same seed, same pictures; the truth fits the pixels; it paces, ends and logs as it says."""

from __future__ import annotations

import json
import math
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from edgesdk_agent.cameras import conveyor
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.conveyor import ConveyorCamera, load_digits
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, LOOP_PX, SPEED_PX, WIDTH, ConveyorScene
from edgesdk_targets.errors import CameraLost, InputError, NoSpace
from edgesdk_targets.tensor import Array

FRAME_BYTES = HEIGHT * WIDTH * 3
LAP = LOOP_PX // SPEED_PX


class FakeTime:
    """A clock that only waiting (and the test) moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.late = 0.0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds + self.late
        return False


def drawn(scene: ConveyorScene, index: int) -> Array:
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    scene.draw(index, out)
    return out


@pytest.fixture(scope="module")
def scene() -> ConveyorScene:
    return ConveyorScene(*load_digits(), seed=5)


@pytest.fixture(scope="module")
def bare() -> ConveyorScene:
    return ConveyorScene(*load_digits(), seed=5, density=0.0)


def live_camera(time: FakeTime, **options: object) -> ConveyorCamera:
    return ConveyorCamera(fps=10.0, live=True, clock=time.clock, wait=time.wait, **options)  # type: ignore[arg-type]


def read_all(camera: ConveyorCamera) -> int:
    count = 0
    while camera.read(None) is not None:
        count += 1
    return count


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class TestScene:
    def test_frame_depends_on_seed_and_index_alone(self, scene: ConveyorScene) -> None:
        again = ConveyorScene(*load_digits(), seed=5)
        backwards = {index: drawn(again, index) for index in (LAP + 3, 700, 41, 0)}
        for index in (0, 41, 700, LAP + 3):
            assert np.array_equal(drawn(scene, index), backwards[index])
            assert np.array_equal(scene.truth(index).boxes, again.truth(index).boxes)

    def test_other_seed_and_other_index_differ(self, scene: ConveyorScene) -> None:
        other = ConveyorScene(*load_digits(), seed=6)
        assert not np.array_equal(drawn(scene, 10), drawn(other, 10))
        assert not np.array_equal(drawn(scene, 10), drawn(scene, 11))
        assert not np.array_equal(scene.truth(10).boxes, other.truth(10).boxes)

    # The last ones look across the place where the belt's loop is closed.
    @pytest.mark.parametrize("index", [0, 33, 512, LAP - 40, LAP - 20, LAP - 1, LAP, LAP + 25])
    def test_truth_fits_the_pixels(self, scene: ConveyorScene, bare: ConveyorScene, index: int) -> None:
        painted = (drawn(scene, index) != drawn(bare, index)).any(axis=2)
        truth = scene.truth(index)
        assert len(truth.boxes) == len(truth.labels) > 0
        for box in truth.boxes:
            x1, y1, x2, y2 = (int(value) for value in box)
            inside = painted[y1:y2, x1:x2]
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
            # The faint rim of the ink, below the opacity that counts, is a few pixels wide.
            painted[max(0, y1 - 5) : y2 + 5, max(0, x1 - 5) : x2 + 5] = False
        # What is left belongs to digits that are only partly in the picture.
        assert not painted[:, 56:-56].any()

    def test_bare_belt_has_no_truth(self, bare: ConveyorScene) -> None:
        assert all(len(bare.truth(index).boxes) == 0 for index in range(0, LAP, 50))

    def test_truth_moves_with_the_belt(self, scene: ConveyorScene) -> None:
        now, then = scene.truth(100), scene.truth(101)
        moved = {tuple(box[0::2] - SPEED_PX) for box in now.boxes if box[0] >= SPEED_PX}
        assert moved
        assert moved <= {tuple(box[0::2]) for box in then.boxes}

    def test_digits_of_all_classes_come_by(self, scene: ConveyorScene) -> None:
        seen = {int(label) for index in range(0, LAP, 30) for label in scene.truth(index).labels}
        assert seen == set(range(10))


class TestReading:
    def test_delivers_every_frame_and_ends(self) -> None:
        camera: Camera = ConveyorCamera(seed=5, live=False, frames=4)
        scene = ConveyorScene(*load_digits(), seed=5)
        for index in range(4):
            picture = camera.read(None)
            assert picture is not None
            assert np.array_equal(picture, drawn(scene, index))
        assert camera.read(None) is None
        assert camera.read(None) is None
        camera.close()
        assert (camera.info.width, camera.info.height, camera.info.live) == (WIDTH, HEIGHT, False)

    def test_fills_a_fitting_array_and_refuses_others(self) -> None:
        camera = ConveyorCamera(live=False)
        fitting = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        assert camera.read(fitting) is fitting
        assert fitting.any()
        wide = np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)
        for unfit in (np.zeros((2, 2, 3), np.uint8), np.zeros((HEIGHT, WIDTH, 3), np.float32), wide[:, ::2]):
            picture = camera.read(unfit)
            assert picture is not unfit
            assert picture is not None
            assert picture.shape == (HEIGHT, WIDTH, 3)
            assert not unfit.any()
        camera.close()

    @pytest.mark.parametrize("given", [True, False])
    def test_allocates_a_frame_only_when_none_is_given(self, given: bool) -> None:
        camera = ConveyorCamera(live=False)
        out = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if given else None
        camera.read(out)
        tracemalloc.start()
        for _ in range(5):
            camera.read(out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        camera.close()
        assert (peak < FRAME_BYTES / 4) is given

    def test_after_close_nothing_comes(self) -> None:
        camera = ConveyorCamera(live=False)
        assert camera.read(None) is not None
        camera.close()
        camera.close()
        assert camera.read(None) is None

    def test_close_wakes_a_waiting_reader(self) -> None:
        camera = ConveyorCamera(fps=0.001, live=True)
        camera.read(None)
        answers: list[object] = []
        reader = threading.Thread(target=lambda: answers.append(camera.read(None)))
        reader.start()
        camera.close()
        reader.join(timeout=30)
        assert not reader.is_alive()
        assert answers == [None]


class TestPace:
    def test_waits_for_each_frame_without_drift(self) -> None:
        time = FakeTime()
        time.late = 0.013  # every wake-up is late, as on a busy machine
        camera = live_camera(time)
        camera.read(None)
        starts = []
        for _ in range(50):
            camera.read(None)
            starts.append(time.now - 1000.0)
        camera.close()
        # The lateness of one wake-up, not of fifty.
        assert starts == pytest.approx([(n + 1) / 10 + 0.013 for n in range(50)])

    def test_late_reader_gets_the_newest_frame(self, tmp_path: Path) -> None:
        time, truth = FakeTime(), tmp_path / "truth.jsonl"
        camera, scene = live_camera(time, truth_path=truth), ConveyorScene(*load_digits(), seed=0)
        for index, pause in ((0, 0.0), (7, 0.75), (8, 0.0), (20, 1.25)):
            time.now += pause
            picture = camera.read(None)
            assert picture is not None
            assert np.array_equal(picture, drawn(scene, index))
        camera.close()
        # `seq` counts what was delivered, and each line tells of the picture that really was.
        logged = lines(truth)
        assert [line["seq"] for line in logged] == [0, 1, 2, 3]
        assert logged[3]["boxes"] == scene.truth(20).boxes.tolist()

    def test_belt_stops_after_its_frames_although_some_were_missed(self) -> None:
        time = FakeTime()
        camera = live_camera(time, frames=10)
        assert camera.read(None) is not None
        time.now += 0.85
        assert camera.read(None) is not None
        time.now += 5.0
        assert camera.read(None) is None
        camera.close()

    def test_end_is_said_at_once(self) -> None:
        time = FakeTime()
        camera = live_camera(time, frames=1)
        camera.read(None)
        before = time.now
        assert camera.read(None) is None
        assert time.now == before
        camera.close()


class TestTruth:
    def test_one_line_a_delivered_frame(self, tmp_path: Path, scene: ConveyorScene) -> None:
        camera = ConveyorCamera(seed=5, live=False, frames=30, truth_path=tmp_path / "truth.jsonl")
        while camera.read(None) is not None:
            pass
        camera.close()
        logged = lines(tmp_path / "truth.jsonl")
        assert [line["seq"] for line in logged] == list(range(30))
        for index, line in enumerate(logged):
            assert line["boxes"] == scene.truth(index).boxes.tolist()
            assert line["labels"] == [str(label) for label in scene.truth(index).labels]

    def test_a_picture_that_was_being_drawn_when_the_camera_closed_is_not_delivered(self, tmp_path: Path) -> None:
        for attempt in range(20):
            camera = ConveyorCamera(live=False, truth_path=tmp_path / "truth.jsonl")
            with ThreadPoolExecutor(1) as reader:
                delivered = reader.submit(read_all, camera)
                sleep(0.005 + attempt * 0.0003)
                camera.close()
            assert delivered.result() == len(lines(tmp_path / "truth.jsonl"))

    def test_full_disk_is_said(self) -> None:
        full = Path("/dev/full")
        if not full.exists():
            pytest.skip("this system has no /dev/full")
        camera = ConveyorCamera(live=False, truth_path=full)
        camera.read(None)
        with pytest.raises(NoSpace, match="/dev/full"):
            camera.close()
        camera.close()

    def test_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="No such file"):
            ConveyorCamera(truth_path=tmp_path / "missing" / "truth.jsonl")


class TestBadInput:
    @pytest.mark.parametrize("options", [{"seed": -1}, {"fps": 0.0}, {"fps": -3.0}, {"fps": math.nan}, {"frames": 0}])
    def test_option_out_of_range(self, options: dict[str, float]) -> None:
        with pytest.raises(InputError, match=next(iter(options))) as caught:
            ConveyorCamera(**options)  # type: ignore[arg-type]
        assert caught.value.hint

    @pytest.mark.parametrize("damage", ["missing", "cut", "other"])
    def test_damaged_digits(self, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "digits.npz"
        if damage == "cut":
            file.write_bytes(conveyor.DIGITS_FILE.read_bytes()[:5000])
        elif damage == "other":
            np.savez(file, pictures=np.zeros(3))
        monkeypatch.setattr(conveyor, "DIGITS_FILE", file)
        with pytest.raises(CameraLost, match=r"digits\.npz"):
            ConveyorCamera()
