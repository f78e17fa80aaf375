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

from edgesdk.search.asking import Asked, Dropped
from edgesdk.search.claim import claimed
from edgesdk.search.database import open_study
from edgesdk.search.outcome import Trial
from edgesdk.search.space import Space
from edgesdk.search.study import Study
from edgesdk.search.verdict import SAME_TIME, verdict_of
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra, NoSpace, SessionFailed

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
        assert "bytes 10 B > 5 B (a-board)" in [miss.text() for miss in trial.misses]
    verdict = verdict_of(space, study.trials())
    assert verdict.chosen is None
    assert "came nearest, 2 times its limit: bytes 10 B > 5 B (a-board)" in verdict.why


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


@pytest.mark.parametrize("error", [NoSpace("the disk is full"), MissingExtra("nncf", "int8")], ids=["disk", "package"])
def test_what_every_trial_would_meet_ends_the_run_and_burns_none(tmp_path: Path, error: EdgeError) -> None:
    def meets_it(asked: Asked) -> Mapping[str, float]:
        if asked.number == 2:
            raise error
        return _bowl(asked)

    study = Study(_space(), tmp_path)
    with pytest.raises(type(error)):
        study.run(meets_it)
    assert [trial.ending for trial in study.trials()] == ["finished", "finished"]
    # Mended, the same search goes on, with what was under way first.
    study = Study(_space(), tmp_path)
    study.run(_bowl)
    assert [trial.ending for trial in study.trials()] == ["finished"] * 12
    assert [trial.number for trial in study.trials()][:3] == [0, 1, 3]


def test_a_limit_on_no_figure_is_refused_after_the_first_trial(tmp_path: Path) -> None:
    space = _space(limits={"least": {"acuracy": 0.99}})
    # Also by a run that goes on: it would keep all trials.
    for _ in range(2):
        study = Study(space, tmp_path)
        with pytest.raises(InputError, match="there is no figure 'acuracy' here") as refused:
            study.run(_bowl)
        assert "One of: bytes, ms, top1" in refused.value.hint
        assert len(study.trials()) == 1


def test_a_figure_that_is_not_defined_is_a_figure(tmp_path: Path) -> None:
    study = Study(_space(limits={"least": {"f1": 0.9}}, trials=2), tmp_path)
    study.run(lambda asked: {**_bowl(asked), "f1": float("nan")})
    assert [trial.misses[0].name for trial in study.trials()] == ["f1", "f1"]


def test_what_comes_again_misses_what_it_missed(tmp_path: Path) -> None:
    space = _space(parameters={"factory_args.a": {"choice": [1]}}, limits={"least": {"f1": 0.9}}, trials=2)
    study = Study(space, tmp_path)
    study.run(lambda _asked: {"top1": 1.0, "ms": 1.0, "f1": float("nan")})
    assert [trial.same_as for trial in study.trials()] == [None, 0]
    assert not any(trial.fits for trial in study.trials())


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
    better = [
        t for t in study.trials() if t.figures["top1"] > first.figures["top1"] and t.figures["ms"] <= 1.9 * SAME_TIME
    ]
    assert set(verdict.beat_baseline) == {trial.number for trial in better}
    assert "beat the baseline" in verdict.why


def test_a_time_that_differs_by_chance_beats_nothing() -> None:
    def tried(number: int, ms: float, top1: float = 0.9) -> Trial:
        return Trial(number, "finished", {}, {"top1": top1, "ms": ms}, is_baseline=number == 0)

    trials = [tried(0, 2.0), tried(1, 1.9), tried(2, 1.5), tried(3, 2.1, 0.95), tried(4, 2.5, 0.95)]
    assert verdict_of(_space(), trials).beat_baseline == (2, 3)


def test_a_baseline_that_was_cut_off_before_it_began_is_proposed_again(tmp_path: Path) -> None:
    """Between optuna's `ask` and the first parameter that is asked for by name."""
    baseline = {"factory_args.a": 0.2, "factory_args.b": 0.9}
    space = _space(baseline=baseline, trials=2)
    killed = open_study(space, tmp_path, {})
    killed.enqueue_trial(baseline, user_attrs={"baseline": True})
    killed.ask()
    study = Study(space, tmp_path)
    study.run(_bowl)
    first = study.trials()[0]
    assert first.is_baseline
    assert first.parameters == baseline


def test_an_outcome_that_optuna_was_not_told_of_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between the two writes."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Study, "_tell", killed)
        with pytest.raises(KeyboardInterrupt):
            Study(_space(), tmp_path).run(_bowl)
    study = Study(_space(), tmp_path)
    assert [trial.number for trial in study.trials()] == [0]
    study.run(_bowl)
    assert [trial.number for trial in study.trials()] == list(range(12))
    assert all(trial.same_as is None for trial in study.trials())


def test_one_process_at_a_time_searches_in_a_folder(tmp_path: Path) -> None:
    with claimed(tmp_path / "new"), pytest.raises(InputError, match="Another process searches in"):
        claimed(tmp_path / "new").__enter__()
    with claimed(tmp_path / "new"):
        pass


def test_a_folder_may_be_called_as_it_likes(tmp_path: Path) -> None:
    folder = tmp_path / "what? {50%} #1"
    Study(_space(trials=1), folder).run(_bowl)
    assert (folder / "search.db").is_file()
    assert len(Study(_space(trials=1), folder).trials()) == 1
    assert [place.name for place in tmp_path.iterdir()] == [folder.name]


def test_another_content_is_refused_and_named(tmp_path: Path) -> None:
    Study(_space(), tmp_path, content={"model": "1", "data": "2"})
    with pytest.raises(InputError, match=r"holds another search: not the same data\."):
        Study(_space(), tmp_path, content={"model": "1", "data": "3"})


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
