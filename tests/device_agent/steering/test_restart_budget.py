"""Restarts from afar: a few at once, then ever more seldom; what is left is handed from run to run."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.steering.restart import wait_for_restart
from edgesdk_agent.steering.restart_budget import FREE, LONGEST_WAIT_S, RestartBudget
from edgesdk_agent.steering.run_before import RunBefore, leave_for_next_run, take_run_before
from edgesdk_targets.errors import DeviceError, InputError
from edgesdk_testkit.steered import CONFIG, Bench


def test_a_few_are_free_and_then_each_waits_twice_as_long() -> None:
    budget, waits, now = RestartBudget(), [], 1000.0
    for _ in range(12):
        wait = budget.wait_s(now)
        waits.append(wait)
        now += wait
        budget = budget.spent(now)
    assert waits[: FREE + 3] == [0.0] * FREE + [15.0, 30.0, 60.0]
    assert max(waits) == LONGEST_WAIT_S


def test_a_day_of_asking_all_the_time_starts_again_some_four_times_an_hour() -> None:
    budget, count, now = RestartBudget(), 0, 0.0
    while now < 86400:
        now += budget.wait_s(now) + 2.0
        budget, count = budget.spent(now), count + 1
    assert count < 24 * 8


def test_an_hour_without_one_makes_it_whole_and_another_boot_does_too() -> None:
    budget = RestartBudget((10.0, 20.0, 30.0))
    assert budget.wait_s(40.0) > 0
    assert budget.wait_s(3640.0) == 0
    assert budget.wait_s(5.0) == 0, "the monotonic clock began again"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"restarts": ["x"]}', '{"restarts": [1e999]}'])
def test_what_another_left_in_the_variable_is_nothing(text: str) -> None:
    assert take_run_before({"EDGESDK_RUN_BEFORE": text}) == RunBefore()


def test_what_a_run_leaves_is_taken_once() -> None:
    environment: dict[str, str] = {}
    leave_for_next_run(RunBefore(restarts=(1.5, 2.5)), environment)
    assert take_run_before(environment).budget == RestartBudget((1.5, 2.5))
    assert environment == {}


def test_the_wait_ends_with_the_wish_to_stop(tmp_path: Path) -> None:
    import time

    now = time.monotonic()
    beginning = replace(Bench(tmp_path).beginning, budget=RestartBudget((now - 3, now - 2, now - 1)))
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert not wait_for_restart(beginning, stop)


def test_who_asks_too_often_is_told_when(tmp_path: Path) -> None:
    import time

    bench = Bench(tmp_path)
    now = time.monotonic()
    bench.steering._budget = RestartBudget((now, now, now))
    with pytest.raises(DeviceError, match="3 times within the hour") as caught:
        bench.settings.set({"cameras[0].fps": 5}, restart=True)
    assert "again in 1" in caught.value.hint
    assert bench.beginning.file.now.trial is None
    assert not bench.restarts


def test_a_setting_that_needs_a_restart_is_refused_where_nothing_outlives_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, CONFIG.replace("state: state, ", ""))
    with pytest.raises(InputError, match="outlives"):
        bench.settings.set({"cameras[0].fps": 5}, restart=True)
    assert not bench.restarts
