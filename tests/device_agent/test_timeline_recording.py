"""A run's timeline in a file: refused at the beginning where it cannot be, and never in the way of the run's own outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk_agent.timeline.recording import recorded
from edgesdk_targets.errors import InputError


def test_it_is_written_also_where_the_run_fails(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(KeyError, match="own"):
        failing_run(path)
    spans = [one for one in json.loads(path.read_text())["traceEvents"] if one["ph"] == "X"]
    assert [(one["name"], one["dur"]) for one in spans] == [("infer", 500_000)]


def test_a_file_that_cannot_be_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "run.txt", tmp_path / "file" / "run.json"):
        with pytest.raises(InputError), recorded(wrong):
            pytest.fail("the run began")


def test_what_cannot_be_written_at_the_end_is_told_and_the_outcome_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with recorded(tmp_path / "well.json"):
        (tmp_path / "well.json").mkdir()
    assert caplog.text.count("could not be written") == 1
    with pytest.raises(KeyError, match="own"):
        failing_run(tmp_path / "ill.json", in_the_way=True)
    assert caplog.text.count("could not be written") == 2


def test_each_run_of_one_process_has_its_own_file(tmp_path: Path) -> None:
    for runs_before, name in enumerate(("a.b.json", "a.b.2.json", "a.b.3.json")):
        with recorded(tmp_path / "a.b.json", runs_before) as timeline:
            timeline.add("infer", "door", runs_before, 1.0, 1.5)
        assert f'"frame":{runs_before}' in (tmp_path / name).read_text()


def failing_run(path: Path, *, in_the_way: bool = False) -> None:
    with recorded(path) as timeline:
        timeline.add("infer", "door", 7, 1.0, 1.5)
        if in_the_way:
            path.mkdir()
        raise KeyError("own")
