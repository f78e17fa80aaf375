"""The table of models is made in phases that are kept apart: what is there is not made again, and what changed is."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("benchmarks_path")

FIGURE = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 10}
QUIET = {"median": 1.0, "worst": 5.0}


class Workshop:
    """Stands for the phases' own work, and counts it; everything around them is real."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.artifact = b"artifact"
        self.others = dict(QUIET)
        self.fails_at = ""
        modules = [
            importlib.import_module(f"table.{name}") for name in ("making", "cases", "kept", "progress", "timing")
        ]
        self._making, cases, self._kept_module, self._progress, self._timing = modules
        self.case = next(case for case in cases.cases() if case.name == "digits_classifier")
        self.places = cases.Places(None, folder)
        self.kept = self._kept_module.Kept(self.places.own)
        monkeypatch.setattr(self._making, "build_family", self._build)
        monkeypatch.setattr(self._making, "judge_family", self._judge)
        monkeypatch.setattr(self._making, "subjects_of", lambda _card, cells: list(cells))
        monkeypatch.setattr(self._making, "race", self._race)
        monkeypatch.setattr(self._making, "judge_script", self._script)
        monkeypatch.setattr(self._making, "parse_family", self._parse)

    def _parse(self, _model: object, cells: dict[str, Any], _say: object) -> dict[str, Any]:
        self._note("parse")
        return {name: {"status": "accepted", "reason": "", "op": "", "node": "", "built": True} for name in cells}

    def _script(self, _model: object, family: str, _say: object) -> dict[str, Any]:
        self._note(f"script {family}")
        return {"bytes": 50, "figures": {"top-1 lost": FIGURE}}

    def _build(self, _model: object, target: str, precisions: tuple[str, ...], _say: object) -> dict[str, Any]:
        self._note(f"build {target}")
        path = self.places.scratch / f"{target}.edgebundle"
        path.write_bytes(self.artifact)
        runtime = "tensorrt" if target.startswith("jetson") else "own"
        cell = {
            "bundle": path.name,
            "sha256": hashlib.sha256(self.artifact).hexdigest(),
            "built": "fp32",
            "bytes": 100,
            "worst_parity": None,
            "notes": [],
        }
        return {"cells": {name: {**cell, "variant": f"{target}-{runtime}-{name}"} for name in precisions}}

    def _judge(self, _model: object, cells: dict[str, Any], _say: object) -> dict[str, Any]:
        self._note("judge")
        figures = {
            name: {"sha256": cell["sha256"], "ran_by": "own", "figures": {"top-1 lost": FIGURE}}
            for name, cell in cells.items()
        }
        return {"figures": figures, "task": "classify", "pictures": 10, "main": "top-1 lost", "float": {}}

    def _race(self, subjects: list[str], _effort: object, _say: object) -> dict[str, Any]:
        self._note("time")
        times = {name: {"rounds_ms": [2.0, 1.0, 3.0], "rss_bytes": 1} for name in (*subjects, "PyTorch eager")}
        return {"threads": 1, "contenders": times, "failed": {}, "others_pct": self.others, "repeated": 0}

    def _note(self, what: str) -> None:
        if what == self.fails_at:
            raise KeyboardInterrupt
        self.made.append(what)

    def run(self, *phases: str, again: bool = False) -> Any:
        """Make what is missing, as the command does."""
        making = self._making.Making(self.places, self.kept, self._timing.Effort(1, 0.1), again=again)
        steps = making.missing([self.case], phases or self._making.USUAL)
        progress = self._progress.Progress([step for _, step in steps], self.kept)
        for case, step in steps:
            progress.begin(step)
            making.make(case, step, progress)
        return making


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)


BUILDS = ["build generic-onnx", "build x86-cpu", "build rpi5", "build jetson-orin-nano"]


def test_a_second_run_makes_nothing(workshop: Workshop) -> None:
    workshop.run()
    assert workshop.made == [*BUILDS, *["judge"] * 4, "time"]
    workshop.run()
    assert len(workshop.made) == 9
    workshop.run("judge", again=True)
    assert len(workshop.made) == 13


def test_a_run_that_was_broken_off_goes_on_where_it_was(workshop: Workshop) -> None:
    workshop.fails_at = "build rpi5"
    with pytest.raises(KeyboardInterrupt):
        workshop.run()
    workshop.fails_at = ""
    workshop.run()
    assert sorted(workshop.made[:4]) == sorted(BUILDS)


def test_an_artifact_that_is_gone_or_altered_is_built_again_and_one_that_came_out_alike_is_not_judged_again(
    workshop: Workshop,
) -> None:
    workshop.run()
    (workshop.places.scratch / "rpi5.edgebundle").write_bytes(b"altered")
    (workshop.places.scratch / "x86-cpu.edgebundle").unlink()
    workshop.run()
    assert workshop.made[9:] == ["build x86-cpu", "build rpi5"]


def test_another_artifact_loses_its_figures_and_its_times(workshop: Workshop) -> None:
    workshop.run()
    workshop.artifact = b"another artifact"
    making = workshop.run("build", again=True)
    assert making.part(workshop.case) is None
    assert making.stale(workshop.case)
    part = workshop.run("judge").part(workshop.case)
    assert "timing" not in part
    assert all("figures" in row and "ms" not in row for row in part["rows"])
    workshop.run()
    assert workshop.made[-5:] == [*["judge"] * 4, "time"]


def test_times_of_a_busy_machine_are_not_kept(workshop: Workshop) -> None:
    workshop.others["median"] = 30.0
    making = workshop.run()
    assert "timing" not in making.part(workshop.case)
    workshop.others["median"] = 2.0
    part = workshop.run("time").part(workshop.case)
    assert part["timing"]["others_pct"]["median"] == 2.0
    timed = {(row["family"], row["precision"]) for row in part["rows"] if "ms" in row}
    # TensorRT's files are run by ONNX Runtime, whose time says nothing of a Jetson.
    assert {family for family, _ in timed} == {"ONNX Runtime", "OpenVINO", "LiteRT"}
    row = part["rows"][0]
    assert (row["ms"], row["times_fp32"]["value"], row["speedup_over_eager"]["value"]) == (2.0, 1.0, 1.0)


def test_a_phase_without_the_one_before_says_what_is_missing(workshop: Workshop) -> None:
    with pytest.raises(SystemExit, match="--phase build"):
        workshop.run("judge")


def test_scripts_are_tried_when_they_are_asked_for_and_do_not_depend_on_what_was_built(workshop: Workshop) -> None:
    assert "by_hand" not in workshop.run().part(workshop.case)
    part = workshop.run("by_hand").part(workshop.case)
    assert workshop.made[9:] == [f"script {family}" for family in ("ONNX Runtime", "OpenVINO", "LiteRT", "TensorRT")]
    assert part["by_hand"]["LiteRT"]["figures"] == {"top-1 lost": FIGURE}
    workshop.artifact = b"another artifact"
    assert "by_hand" in workshop.run("build", "judge", "by_hand", again=False).part(workshop.case)
    assert len(workshop.made) == 13


def test_the_parser_is_asked_once_about_the_files_for_tensorrt(workshop: Workshop) -> None:
    workshop.run()
    part = workshop.run("parse").part(workshop.case)
    asked = {row["family"]: row.get("parser", {}).get("built") for row in part["rows"]}
    assert asked == {"ONNX Runtime": None, "OpenVINO": None, "LiteRT": None, "TensorRT": True}
    workshop.run("parse")
    assert workshop.made[9:] == ["parse"]
    workshop.artifact = b"another artifact"
    assert "parser" not in workshop.run("build", "judge", again=True).part(workshop.case)["rows"][-1]


def test_one_family_is_built_anew_and_the_others_stay(workshop: Workshop) -> None:
    workshop.run()
    making = workshop._making.Making(workshop.places, workshop.kept, workshop._timing.Effort(1, 0.1), again=True)
    steps = making.missing([workshop.case], ("build", "judge", "emulate"), ["LiteRT"])
    assert [(step.phase, step.name) for _, step in steps] == [
        (phase, "digits_classifier--rpi5") for phase in ("build", "judge", "emulate")
    ]
