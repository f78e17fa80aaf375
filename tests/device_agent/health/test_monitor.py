"""What follows from a reading: events once, the service manager's word, and the watchdog's acts."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.health.facts import CameraFacts, Facts
from edgesdk_agent.health.monitor import Hands, Monitor
from edgesdk_agent.health.sd_notify import ServiceManager
from edgesdk_agent.health.watchdog import Watchdog, WatchdogSettings

WELL = Facts(
    at=0.0, uptime_s=100.0, cameras={"gate": CameraFacts(0.1, 15.0)}, since_result_s=0.1, disk_free_bytes=10**10
)


class Rig:
    """A monitor whose facts the test says, and everything it did."""

    def __init__(self, folder: Path) -> None:
        self.facts = WELL
        self.told: list[tuple[str, str, str]] = []
        self.did: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(5.0)
        hands = Hands(
            tell=lambda name, severity, message, *, camera="": self.told.append((name, severity, camera)),
            show=lambda assessment, facts: None,
            mend=lambda: self.did.append("mend"),
            end=lambda: self.did.append("end"),
        )
        self.monitor = Monitor(
            lambda: self.facts,
            hands,
            watchdog=Watchdog(WatchdogSettings(stall_s=30.0, exit_after_s=90.0)),
            manager=ServiceManager({"NOTIFY_SOCKET": str(folder / "notify")}),
        )

    def look(self, at: float, **changes: object) -> None:
        self.facts = replace(WELL, at=at, **changes)  # type: ignore[arg-type]
        self.monitor.look()

    def heard(self) -> list[bytes]:
        self.socket.setblocking(False)
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096))
            except BlockingIOError:
                return found


def test_a_change_is_an_event_once_and_the_state_follows(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with rig.socket:
        rig.look(0.0)
        assert (rig.told, rig.monitor.state) == ([], "online")
        for at in (5.0, 10.0, 15.0):
            rig.look(at, disk_free_bytes=10**6, cameras={"gate": CameraFacts(8.0, 15.0)})
        assert rig.told == [("health_cameras_producing", "warning", "gate"), ("health_disk_space", "error", "")]
        assert rig.monitor.state == "degraded"
        for at in (20.0, 30.0):
            rig.look(at)
        assert rig.monitor.state == "degraded", "a recovery must last"
        rig.look(40.0)
        assert rig.monitor.state == "online"
        assert [one[:2] for one in rig.told[2:]] == [
            ("health_cameras_producing", "info"),
            ("health_disk_space", "info"),
        ]


def test_the_service_manager_hears_alive_only_while_results_come(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with rig.socket:
        rig.look(0.0)
        rig.look(5.0, frames_wait=True, since_result_s=20.0)
        assert [said.startswith(b"WATCHDOG=1") for said in rig.heard()] == [True, True]
        rig.look(15.0, frames_wait=True, since_result_s=30.0)
        assert rig.heard() == []
        assert rig.did == ["mend"]
        rig.look(75.0, frames_wait=True, since_result_s=90.0)
        assert rig.heard() == []
        assert rig.did == ["mend", "end"]
        assert [name for name, *_ in rig.told].count("pipeline_stalled") == 2


@pytest.mark.parametrize("again", [False, True])
def test_a_restart_is_no_end_and_the_load_is_allowed_for(tmp_path: Path, again: bool) -> None:
    rig = Rig(tmp_path)
    with rig.socket:
        rig.monitor.start()
        rig.monitor.stop(again=again)
        ready, *said = rig.heard()
        assert ready.startswith(b"READY=1")
        if not again:
            assert said == [b"STOPPING=1\nSTATUS=stopping"]
            return
        begun, extended = said
        assert begun.startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert b"\nWATCHDOG=1\n" in begun
        assert extended == b"EXTEND_TIMEOUT_USEC=1800000000", "after the watchdog's word, which would undo it"
