from __future__ import annotations

from typing import Any

from edgesdk_agent.camera_reports import CameraReports
from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.supervision.health import ONLINE, CameraHealth
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, Any]] = []

    def __call__(
        self, name: str, severity: str = "info", message: str = "", *, camera: str = "", data: Any = None
    ) -> None:
        self.events.append((name, severity, camera, data))


def supervised() -> SupervisedCamera:
    return SupervisedCamera(lambda _: SyntheticCamera(width=70, height=50), counts=CameraCounts(corrupt=3))


def reports(cameras: dict[str, Camera]) -> tuple[CameraReports, Told]:
    told = Told()
    return CameraReports(cameras, told), told


LOST = CameraHealth("degraded", "lost", "It stopped.")


def test_each_change_is_told_once_with_its_cause_and_counts() -> None:
    camera = supervised()
    _, told = reports({"door": camera})
    assert camera.on_change is not None
    for health in (LOST, LOST, CameraHealth("offline", "lost", "Gone."), ONLINE, ONLINE):
        camera.on_change(health)
    assert [event[:3] for event in told.events] == [
        ("camera_degraded", "warning", "door"),
        ("camera_offline", "error", "door"),
        ("camera_online", "info", "door"),
    ]
    data = told.events[0][3]
    assert (data["state"], data["cause"], data["before"], data["corrupt"]) == ("degraded", "lost", "online", 3)
    assert (data["size_alarms"], data["rate_changes"]) == (0, 0)


def test_a_camera_that_is_given_up_stays_offline() -> None:
    found, told = reports({"door": supervised()})
    found.given_up("door")
    assert found.health()["door"].state == "offline"
    assert told.events == [], "its error is told as that"


def test_a_reader_that_hangs_is_told_when_somebody_looks() -> None:
    class Hanging(SyntheticCamera):
        health = CameraHealth("offline", "hung", "It does not return.")

    camera = Hanging()
    camera.health = ONLINE
    found, told = reports({"door": camera})
    camera.health = CameraHealth("offline", "hung", "It does not return.")
    for _ in range(3):
        found.health()
    camera.health = ONLINE
    found.health()
    assert [event[0] for event in told.events] == ["camera_offline", "camera_online"]
