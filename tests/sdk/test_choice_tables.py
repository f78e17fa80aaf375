"""The tables of several models as one: the page is that of the committed figures, and what is trained is kept."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def path_as_it_was(benchmarks_path: None) -> Iterator[None]:
    path = sys.path[:]
    yield
    sys.path[:] = path


@pytest.mark.parametrize("script", ["cascade", "ensemble"])
def test_the_committed_page_is_that_of_the_committed_figures(script: str, root: Path) -> None:
    found = json.loads((root / f"benchmarks/results/{script}.json").read_text("utf-8"))
    page = (root / "docs" / "choosing.md").read_text("utf-8")
    marks = importlib.import_module("marked_page").Marks("table", f"benchmarks/{script}.py")
    shown = page.partition(marks.begin)[2].partition(marks.end)[0].strip()
    assert shown == importlib.import_module(script).table(found).strip()


def test_a_member_is_trained_once_and_anew_for_other_steps_or_another_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = importlib.import_module("drawn_members")
    trained = []

    def train(_model: Any, steps: int) -> None:
        trained.append(steps)

    def converted(_model: Any, _targets: Any, *, output: Path, card: Any) -> None:
        output.parent.mkdir(parents=True)
        output.write_bytes(card["name"].encode())

    monkeypatch.setattr(members, "_train", train)
    monkeypatch.setattr(members, "convert", converted)
    first = members.member("small", members.network(2, 2, 1), 10, tmp_path)
    assert members.member("small", members.network(2, 2, 1), 10, tmp_path) == first
    assert trained == [10]
    others = {
        members.member("small", members.network(2, 2, 1), 20, tmp_path),
        members.member("small", members.network(2, 2, 2), 10, tmp_path),
    }
    assert first not in others
    assert trained == [10, 20, 10]


def test_what_children_used_is_not_counted_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    members = importlib.import_module("drawn_members")
    clock, used = [100.0], [5.0]
    monkeypatch.setattr(members, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(members, "_of_children", lambda: used[0])

    class Half:
        def __init__(self, _own: object) -> None: ...

        def percent(self) -> float:
            return 50.0

    monkeypatch.setattr(members, "OtherLoad", Half)
    watch = members.Watch()
    clock[0] += 10.0
    assert watch.percent() == 50.0
    used[0] += 4.0
    assert watch.percent() == 10.0


def test_times_that_others_disturbed_are_said_to_be_too_long_and_others_are_not() -> None:
    members = importlib.import_module("drawn_members")
    assert "too long" in members.beside(members.MOST_OTHERS + 1)
    assert "too long" not in members.beside(members.MOST_OTHERS)
