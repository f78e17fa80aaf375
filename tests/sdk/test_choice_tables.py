"""The tables of several models as one: the page is that of the committed figures, and what is trained is kept."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
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
