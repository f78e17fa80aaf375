"""Trials in SQLite: proposed within the space, kept the moment they end, gone on with after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgesdk.search.space import Space
from edgesdk.search.study import Asked, Dropped, Study
from edgesdk.search.verdict import verdict_of
from edgesdk_targets.errors import InputError, SessionFailed

FIELDS: dict[str, Any] = {
    "model": "card.yaml",
    "target": "x86-cpu",
    "data": "judged",
    "objectives": ("top1", "ms"),
    "parameters": {"factory_args.a": {"low": 0.0, "high": 1.0}, "factory_args.b": {"low": 0.0, "high": 1.0}},
    "sampler": "random",
    "trials": 12,
}


def _space(**changes: Any) -> Space:
    return Space.model_validate({**FIELDS, **changes})


def _bowl(asked: Asked) -> Mapping[str, float]:
    """Best accuracy at a = 0.7, and slower the larger b."""
    a, b = (float(asked.parameters[f"factory_args.{name}"]) for name in "ab")
    return {"top1": 1 - (a - 0.7) ** 2, "ms": 1 + b, "bytes": 10.0}


def test_every_trial_is_within_the_space_and_comes_back_from_the_disk(tmp_path: Path) -> None:
    space = _space()
    Study(space, tmp_path).run(_bowl)
    kept = Study(space, tmp_path).trials()
    assert [trial.number for trial in kept] == list(range(12))
    assert all(0 <= float(value) <= 1 for trial in kept for value in trial.parameters.values())
    assert all(trial.figures == pytest.approx(_bowl_of(trial.parameters)) for trial in kept)


def _bowl_of(parameters: Mapping[str, Any]) -> Mapping[str, float]:
    return _bowl(Asked(0, parameters, lambda _step, _value: None))


def test_a_second_run_draws_others(tmp_path: Path) -> None:
    Study(_space(trials=5), tmp_path).run(_bowl)
    Study(_space(trials=10), tmp_path).run(_bowl)
    drawn = {tuple(trial.parameters.values()) for trial in Study(_space(), tmp_path).trials()}
    assert len(drawn) == 10


def test_limits_are_kept_beside_the_figures(tmp_path: Path) -> None:
    space = _space(limits={"ms": 1.5, "least": {"top1": 0.9}})
    study = Study(space, tmp_path, {"bytes": 5.0}, "a-board")
    study.run(_bowl)
    for trial in study.trials():
        names = [miss.name for miss in trial.misses]
        assert ("ms" in names) == (trial.figures["ms"] > 1.5)
        assert ("top1" in names) == (trial.figures["top1"] < 0.9)
        assert "bytes 10 > 5 (a-board)" in [miss.text() for miss in trial.misses]
    verdict = verdict_of(space, study.trials())
    assert verdict.chosen is None
    assert "came nearest, 2 times its limit: bytes 10 > 5 (a-board)" in verdict.why


def test_what_fails_is_one_trial_and_says_why(tmp_path: Path) -> None:
    def fails_at_times(asked: Asked) -> Mapping[str, float]:
        if asked.number == 1:
            raise SessionFailed("the runtime refused it")
        if asked.number == 2:
            raise Dropped("too slow", {"ms": 9.0})
        if asked.number == 3:
            raise ZeroDivisionError("in the factory")
        return _bowl(asked)

    study = Study(_space(limits={"ms": 3.0}), tmp_path)
    study.run(fails_at_times)
    endings = [(trial.ending, trial.why) for trial in study.trials()[:4]]
    assert endings == [
        ("finished", ""),
        ("failed", "the runtime refused it"),
        ("dropped", "too slow"),
        ("failed", "ZeroDivisionError: in the factory"),
    ]
    assert study.trials()[2].misses[0].text() == "ms 9 > 3 (limits)"


def test_nothing_but_failures_ends_it(tmp_path: Path) -> None:
    def fails(_asked: Asked) -> Mapping[str, float]:
        raise SessionFailed("no such runtime")

    with pytest.raises(InputError, match="All 5 trials failed; the last one: no such runtime"):
        Study(_space(), tmp_path).run(fails)


def test_a_grid_is_tried_once_and_wholly(tmp_path: Path) -> None:
    parameters = {"factory_args.a": {"choice": [0.1, 0.7]}, "factory_args.b": {"low": 0.0, "high": 1.0, "step": 0.5}}
    space = _space(parameters=parameters, sampler="grid", trials=100)
    study = Study(space, tmp_path)
    study.run(_bowl)
    assert len({tuple(trial.parameters.values()) for trial in study.trials()}) == len(study.trials()) == 6


def test_the_same_configuration_is_not_carried_out_twice(tmp_path: Path) -> None:
    asked: list[Mapping[str, Any]] = []

    def noted(one: Asked) -> Mapping[str, float]:
        asked.append(one.parameters)
        return {"top1": 1.0, "ms": 1.0}

    space = _space(parameters={"factory_args.a": {"choice": [1, 2]}})
    study = Study(space, tmp_path)
    study.run(noted)
    assert len(asked) == 2
    assert len(study.trials()) == 12
    assert sum(trial.same_as is None for trial in study.trials()) == 2


def test_the_baseline_comes_first_and_what_beats_it_is_named(tmp_path: Path) -> None:
    space = _space(baseline={"factory_args.a": 0.2, "factory_args.b": 0.9}, trials=20)
    study = Study(space, tmp_path)
    study.run(_bowl)
    first = study.trials()[0]
    assert first.is_baseline
    assert first.parameters == {"factory_args.a": 0.2, "factory_args.b": 0.9}
    verdict = verdict_of(space, study.trials())
    better = [t for t in study.trials() if t.figures["top1"] >= first.figures["top1"] and t.figures["ms"] < 1.9]
    assert set(verdict.beat_baseline) == {trial.number for trial in better}
    assert "beat the baseline" in verdict.why


def test_another_space_is_refused(tmp_path: Path) -> None:
    Study(_space(), tmp_path)
    with pytest.raises(InputError, match="holds another search"):
        Study(_space(seed=5), tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="is no search"):
        Study(_space(), tmp_path)


def test_a_trial_that_others_are_far_ahead_of_is_dropped(tmp_path: Path) -> None:
    def in_steps(asked: Asked) -> Mapping[str, float]:
        quality = 0.9 if asked.number < 8 else 0.1
        for step in range(5):
            asked.report(step, quality)
        return {"top1": quality}

    study = Study(_space(objectives=("top1",), trials=10), tmp_path)
    study.run(in_steps)
    assert [trial.ending for trial in study.trials()[8:]] == ["dropped", "dropped"]
    assert all(trial.ending == "finished" for trial in study.trials()[:8])


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_study import _bowl, _space
from edgesdk.search.study import Study

def slow(asked):
    (Path(sys.argv[1]) / f"began-{{asked.number}}").touch()
    time.sleep(0.0 if asked.number < 4 else 600)
    return _bowl(asked)

Study(_space(sampler="tpe"), Path(sys.argv[1])).run(slow)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_a_search_that_was_cut_off_loses_no_finished_trial(tmp_path: Path, how: signal.Signals) -> None:
    program = CHILD.format(tests=str(Path(__file__).parent))
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "began-4").exists() and time.monotonic() < until and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(how)
    assert child.wait(60) != 0
    study = Study(_space(sampler="tpe"), tmp_path)
    before = study.trials()
    assert [trial.number for trial in before] == [0, 1, 2, 3]
    study.run(_bowl)
    after = study.trials()
    assert after[:4] == before
    assert len(after) == 12
    # What was under way is the first to be tried again, under a number of its own.
    assert after[4].number == 5
