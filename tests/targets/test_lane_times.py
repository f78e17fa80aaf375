"""What others do meanwhile, by the kernel's count of the whole machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgesdk_targets import lane_times
from edgesdk_targets.lane_times import time_lanes
from edgesdk_targets.machine_load import machine_busy_s


def test_work_is_all_but_idling_and_waiting_for_a_disk(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    _write(stat, "100 200 300 9000 5000 10 20 30 7 7")
    ticks = machine_busy_s(stat)
    _write(stat, "200 200 300 9999 9999 10 20 130 7 7")
    later = machine_busy_s(stat)
    assert ticks is not None
    assert later is not None
    assert ticks > 0
    # 660 ticks, and 200 more: 100 of a program, and 100 that a hypervisor took away.
    assert later / ticks == pytest.approx(860 / 660)


@pytest.mark.parametrize("text", [None, "", f"cpu{min(os.sched_getaffinity(0))} 1 2 x"], ids=["absent", "empty", "odd"])
def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path, text: str | None) -> None:
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert machine_busy_s(stat) is None


def _write(stat: Path, ticks: str) -> None:
    """Write the same of each core of this process, and much more of one that it may not use."""
    cores = sorted(os.sched_getaffinity(0))
    lines = [f"cpu{number} {ticks}" for number in cores]
    stat.write_text(
        "\n".join(["cpu  999999 1 1 1 1 1 1 1 1 1", *lines, f"cpu{cores[-1] + 1} 999999 1 1 1 1 1 1 1 1 1"]) + "\n"
    )


@pytest.mark.parametrize(("counted", "others_s"), [((10.0, 13.0), 3.0), ((10.0, 10.0), 0.0), ((None, None), 0.0)])
def test_others_work_is_the_machines_less_ones_own(
    counted: tuple[float | None, float | None], others_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(counted)
    monkeypatch.setattr(lane_times, "machine_busy_s", lambda: next(counts))
    taken = time_lanes([lambda: time.sleep(0.001)] * 2, 0.01, fewest=1)
    assert taken.others_s == pytest.approx(max(0.0, others_s - taken.cpu_s) if others_s else 0.0)
    assert taken.wall_s >= 0.001
