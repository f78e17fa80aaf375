from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from edgesdk_agent.vitals import VitalsReader


def zone(folder: Path, number: int, kind: str, temp: str) -> None:
    one = folder / f"thermal_zone{number}"
    one.mkdir(parents=True)
    (one / "type").write_text(kind + "\n")
    (one / "temp").write_text(temp + "\n")


def test_what_every_linux_tells_is_there(tmp_path: Path) -> None:
    reader = VitalsReader(tmp_path)
    first = reader.read()
    assert first.cpu_percent is None, "there is no span to measure yet"
    assert first.cpu_s is not None
    assert first.cpu_s > 0
    assert first.rss_bytes is not None
    assert first.memory_total_bytes is not None
    assert first.rss_bytes < first.memory_total_bytes
    assert first.disk_free_bytes is not None
    second = reader.read()
    assert second.cpu_percent is not None
    assert second.cpu_s is not None
    assert second.cpu_s >= first.cpu_s


def test_the_processors_hottest_zone_is_the_temperature(tmp_path: Path) -> None:
    zone(tmp_path, 0, "gpu-thermal", "71000")
    zone(tmp_path, 1, "cpu-thermal", "52500")
    zone(tmp_path, 2, "CPU-therm", "53000")
    zone(tmp_path, 3, "soc0-thermal", "-256000")
    assert VitalsReader(tmp_path, thermal_dir=tmp_path).read().temperature_c == 53.0


def test_without_a_named_processor_zone_every_zone_counts(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "41000")
    zone(tmp_path, 1, "battery", "0")
    zone(tmp_path, 2, "broken", "n/a")
    assert VitalsReader(tmp_path, thermal_dir=tmp_path).read().temperature_c == 41.0


def test_sensors_stand_in_where_the_kernel_lists_no_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = {"nvme": [SimpleNamespace(current=66.0)], "coretemp": [SimpleNamespace(current=48.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    assert VitalsReader(tmp_path, thermal_dir=tmp_path / "none").read().temperature_c == 48.0


def test_what_cannot_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise PermissionError("no")

    for name in ("virtual_memory", "disk_usage", "sensors_temperatures", "cpu_percent"):
        monkeypatch.setattr(psutil, name, fails, raising=False)
    found = VitalsReader(tmp_path, thermal_dir=tmp_path / "none").read()
    assert (found.memory_total_bytes, found.disk_free_bytes, found.temperature_c) == (None, None, None)
    assert found.rss_bytes is not None


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_above_it(tmp_path: Path) -> None:
    assert VitalsReader(tmp_path / "to/come").read().disk_free_bytes == pytest.approx(
        psutil.disk_usage(str(tmp_path)).free, rel=0.2
    )


def test_of_several_disks_the_fullest_counts_and_the_working_directory_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {"/proc": 7, "/sys": 5, "/": 10**12}

    class Disk:
        def __init__(self, path: str) -> None:
            self.free = free[path]

    monkeypatch.setattr(psutil, "disk_usage", Disk)
    assert VitalsReader("/proc", "/sys").read().disk_free_bytes == 5
    assert VitalsReader("/proc").read().disk_free_bytes == 7


def test_json_holds_every_field(tmp_path: Path) -> None:
    assert set(VitalsReader(tmp_path).read().to_json()) == {
        "cpu_s",
        "cpu_percent",
        "system_cpu_percent",
        "rss_bytes",
        "memory_total_bytes",
        "memory_available_bytes",
        "temperature_c",
        "disk_free_bytes",
        "fds",
        "fds_limit",
        "threads",
    }
