"""The committed table of models: its list of pictures, its figures, and how it is written."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.evaluate.intervals import Metric
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Detections, Text

pytestmark = pytest.mark.usefixtures("benchmarks_path")

LABELS = ("a", "b", "c")


@pytest.fixture
def listed(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "benchmarks/table/pictures.json").read_text("utf-8"))
    return document


def _module(name: str) -> Any:
    return importlib.import_module(f"table.{name}")


def _boxes(*boxes: tuple[float, ...], score: float = 0.9) -> Detections:
    found = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(found, np.full(len(found), score, np.float32), np.zeros(len(found), np.int64), LABELS)


class TestList:
    def test_each_picture_is_listed_once_and_has_four_crops(self, listed: dict[str, Any]) -> None:
        entries = [(entry["file"], entry.get("frame")) for entry in listed["pictures"]]
        assert len(entries) == len(set(entries)) == 90
        assert len(listed["crops"]) == 4
        assert all(x >= 0 and x + w <= 1 and y >= 0 and y + h <= 1 for x, y, w, h in listed["crops"])

    def test_frames_are_a_second_apart(self, listed: dict[str, Any]) -> None:
        frames: dict[str, list[int]] = {}
        for entry in listed["pictures"]:
            if "frame" in entry:
                frames.setdefault(entry["file"], []).append(entry["frame"])
        assert len(frames) == 6
        for places in frames.values():
            assert min(np.diff(sorted(places)), default=30) >= 30  # the videos have at most 30 a second

    def test_no_video_is_both_judged_and_calibrated_on(self, listed: dict[str, Any]) -> None:
        assert not any(
            name in entry["file"] for entry in listed["pictures"] for name in _module("asset_pictures")._CALIBRATED
        )

    @pytest.mark.real
    def test_it_is_what_the_assets_hold(self, listed: dict[str, Any], root: Path) -> None:
        import os

        assets = Path(os.environ.get("EDGESDK_ASSETS") or root.parent / "shared" / "assets")
        if not (assets / "SHA256SUMS").is_file():
            pytest.skip(f"no real weights and pictures in {assets} (EDGESDK_ASSETS names another folder)")
        pictures = _module("asset_pictures")
        assert pictures.listed(assets) == listed
        assert {clip.name for clip in pictures._clips(assets)[1::2]}.isdisjoint(
            Path(entry["file"]).name for entry in listed["pictures"]
        )


class TestFigures:
    def test_crops_of_one_picture_count_once(self) -> None:
        """All four crops wrong or right together: the interval is that of the pictures, not of four times as many."""
        figures = _module("figures")
        same = np.repeat(np.arange(20) % 5 != 0, 4)
        together = figures._clustered(same, [str(place // 4) for place in range(80)])
        apart = figures._clustered(same, [str(place) for place in range(80)])
        assert together.value == apart.value == 0.8
        assert together.high - together.low > 1.5 * (apart.high - apart.low)

    def test_f1_of_equal_detections_is_one(self) -> None:
        answers = [_boxes((0, 0, 10, 10), (20, 20, 40, 40)), _boxes()]
        assert _module("figures")._f1(answers, answers).value == 1.0

    def test_f1_counts_what_is_missing_and_what_is_too_much(self) -> None:
        wanted = [_boxes((0, 0, 10, 10), (20, 20, 40, 40))]
        got = [_boxes((0, 0, 10, 10), (60, 60, 80, 80))]
        assert _module("figures")._f1(wanted, got).value == pytest.approx(0.5)

    def test_weak_detections_need_not_agree(self) -> None:
        wanted = [_boxes((0, 0, 10, 10))]
        weak = _boxes((50, 50, 60, 60), score=0.3)
        boxes = np.concatenate((wanted[0].boxes, weak.boxes))
        got = [Detections(boxes, np.asarray([0.9, 0.3], np.float32), np.zeros(2, np.int64), LABELS)]
        assert _module("figures")._f1(wanted, got).value == 1.0

    def test_words_are_right_whatever_their_case(self) -> None:
        figures = _module("figures")._text_figures(["Cat", "dog"])
        found = figures([Text("cat", 1.0), Text("dig", 1.0)], [Text("CAT", 1.0), Text("dig", 1.0)])
        assert found["words right"].value == 0.5
        assert found["agrees with float"].value == 0.5

    def test_an_answer_of_another_kind_is_refused(self) -> None:
        figures = _module("figures")._text_figures(["x"])
        one = Classification(np.zeros(1, np.int64), np.ones(1, np.float32), LABELS)
        with pytest.raises(InputError, match="not Text"):
            figures([one], [one])

    def test_what_is_lost_counts_pictures_lost_and_won(self) -> None:
        before, after = np.ones(200, bool), np.ones(200, bool)
        before[:2], after[:2], after[2:6] = False, True, False
        lost = _module("figures")._lost(before, after)
        assert lost.value == pytest.approx(2 / 200)
        assert lost.low < 0 < lost.value < lost.high < 0.06


class TestKept:
    def test_a_part_is_fresh_until_what_it_depends_on_changes(self, tmp_path: Path) -> None:
        kept = _module("kept").Kept(tmp_path)
        assert kept.find("build", "m--t") is None
        kept.put("build", "m--t", "one", {"cells": {}}, 12.34)
        assert kept.fresh("build", "m--t", "one") == {"cells": {}}
        assert kept.fresh("build", "m--t", "two") is None
        assert kept.find("build", "m--t").seconds == 12.3  # how long it will take is known all the same

    def test_a_damaged_part_counts_as_absent(self, tmp_path: Path) -> None:
        kept = _module("kept").Kept(tmp_path)
        kept.put("judge", "m--t", "one", {"figures": {}}, 1)
        (tmp_path / "judge/m--t.json").write_text('{"key": "one", "conte')
        assert kept.find("judge", "m--t") is None

    def test_figures_and_times_belong_to_the_bundles_they_were_measured_on(self) -> None:
        keys = _module("keys")
        assert keys.judge_key(["a", "b"], None, 1) == keys.judge_key(["b", "a"], None, 1)
        assert keys.judge_key(["a"], None, 1) != keys.judge_key(["b"], None, 1)
        assert keys.time_key(["a"], "cpu") != keys.time_key(["b"], "cpu")
        assert keys.time_key(["a"], "cpu") != keys.time_key(["a"], "another cpu")


class TestOtherLoad:
    def _proc(self, folder: Path, ticks: list[int], own: dict[int, int]) -> None:
        (folder / "stat").write_text(f"cpu  {' '.join(map(str, ticks))} 0 0\ncpu0 1 2 3\n")
        for pid, used in own.items():
            (folder / str(pid)).mkdir(exist_ok=True)
            (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) R {'0 ' * 10}{used} 0 0\n")

    def test_it_is_what_is_busy_and_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = _module("other_load")
        clock = iter((10.0, 12.0))
        monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
        hz = module._HZ
        self._proc(tmp_path, [0] * 8, {7: 0})
        load = module.OtherLoad([7], tmp_path)
        # user 3 s, idle 5 s, waiting 1 s, stolen by other machines 1 s; of these 2 s are ours: 2 s of others in 2 s.
        self._proc(tmp_path, [3 * hz, 0, 0, 5 * hz, hz, 0, 0, hz], {7: 2 * hz})
        assert load.percent() == pytest.approx(100)

    def test_a_process_of_ours_that_ended_is_no_error(self, tmp_path: Path) -> None:
        self._proc(tmp_path, [1] * 8, {})
        assert _module("other_load").OtherLoad([999], tmp_path).percent() == 0


class TestAsked:
    def _model(self, **int8: Any) -> dict[str, Any]:
        rows = [
            {"family": family, "precision": precision, "bytes": size, "figures": {"agrees with float": {"value": 0.96}}}
            for family in ("ONNX Runtime", "OpenVINO", "LiteRT", "TensorRT")
            for precision, size in (("fp32", 1400), ("int8", 400))
        ]
        rows[1] |= int8
        return {"model": "mobilenet_v2", "rows": rows}

    def test_a_demand_is_met_or_named(self) -> None:
        lines = _module("bounds").judged([self._model(figures={"agrees with float": {"value": 0.949}})])
        agreement = [line for line in lines if "agrees" in line["asked"]]
        assert [(line["family"], line["holds"]) for line in agreement] == [
            ("ONNX Runtime", False),
            ("OpenVINO", True),
            ("TensorRT", True),
            ("LiteRT", True),
        ]
        assert all(line["holds"] for line in lines if "smaller" in line["asked"])

    def test_what_is_not_measured_is_neither_met_nor_missed(self) -> None:
        lines = _module("bounds").judged([self._model()])
        assert {line["holds"] for line in lines if "as fast" in line["asked"]} == {None}

    def test_what_could_not_be_built_is_missed(self) -> None:
        model = self._model()
        model["rows"][1] = {"family": "ONNX Runtime", "precision": "int8", "failure": "no tier passes"}
        lines = [line for line in _module("bounds").judged([model]) if line["family"] == "ONNX Runtime"]
        assert {(line["holds"], line["why"]) for line in lines} == {(False, "no tier passes")}

    @pytest.mark.parametrize(
        ("own", "script", "holds"),
        [(0.96, 0.96, True), (0.955, 0.96, True), (0.954, 0.96, False), (0.975, 1.0, True), (0.974, 1.0, False)],
    )
    def test_no_worse_than_a_script_is_within_half_a_point(self, own: float, script: float, holds: bool) -> None:
        """Float has 0.98, which is mark enough."""
        by_hand, row = ({"figures": {"top-1": {"value": v}, "AP50": {"value": 0.4}}} for v in (script, own))
        model = {"main": "top-1", "float": {"top-1": {"value": 0.98}, "AP50": {"value": 0.41}}}
        assert _module("bounds").no_worse(model, by_hand, row) == {"top-1": holds, "AP50": True}


class TestPage:
    def _results(self) -> dict[str, Any]:
        figure = Metric(0.98, 0.96, 0.99, 100).to_json()
        row = {
            "family": "OpenVINO",
            "precision": "int8",
            "built": "mixed",
            "bytes": 1_000_000,
            "worst_parity": {"sqnr_db": 25.0, "name": "log|its"},
            "figures": {"top-1": figure},
            "ms": 2.0,
            "times_fp32": {"value": 1.3},
            "slower_than_fp32": True,
            "speedup_over_eager": {"value": 3.0},
        }
        failed = {"family": "LiteRT", "precision": "int8", "failure": "op X is\nnot known"}
        model: dict[str, Any] = {"model": "m_v2", "pictures": 100, "main": "top-1", "eager_ms": 6.0}
        model["float"] = {"top-1": figure}
        made = {"date": "2026-01-01", "command": "c", "versions": {"torch": "1"}, "host": {"cpu": "CPU", "cores": 2}}
        model["made"] = {"date": "2025-12-31", "host": {"cpu": "another CPU"}}
        asked = [
            {"model": "m_v2", "family": "LiteRT", "asked": "top-1: at least 0.9", "measured": 0.8, "holds": False},
            {"model": "m_v2", "family": "OpenVINO", "asked": "speed: at least 4", "measured": None, "holds": None},
        ]
        timing = {"threads": 1, "others_pct": {"median": 2.0, "worst": 9.0}, "repeated": 1}
        return {"made": made, "asked": asked, "models": [{**model, "timing": timing, "rows": [row, failed]}]}

    def test_the_table_is_put_between_the_marks(self, tmp_path: Path) -> None:
        page = _module("page")
        path = tmp_path / "models.md"
        path.write_text(f"before\n{page.MARKS.begin}\nold\n{page.MARKS.end}\nafter\n", "utf-8")
        for _ in range(2):
            page.write_page(path, self._results())
        text = path.read_text("utf-8")
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "old" not in text
        assert text.count("### m-v2") == 1
        assert "int8, built mixed" in text
        assert "Made 2025-12-31 on another CPU." in text
        assert "**slower**" in text
        assert "op X is not known" in text
        assert "- m-v2, LiteRT: top-1: at least 0.9; measured 0.8" in text
        assert "Not measured yet:\n\n- m-v2, OpenVINO: speed: at least 4\n" in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1, rows

    def test_beside_the_demands_it_names_the_models_whose_times_were_disturbed(self) -> None:
        results, page = self._results(), _module("page")
        assert "disturbed" not in page.table_text(results)
        results["models"][0]["timing"]["others_pct"]["worst"] = 146.3
        met = "Of 2 demands on the INT8 artifacts 0 are met. Others disturbed the timing of m-v2 (at worst 146 % of a core)"
        assert met in page.table_text(results)
        results["asked"] = []
        assert "disturbed" not in page.table_text(results)

    def test_a_script_is_shown_beside_int8(self) -> None:
        results = self._results()
        figure = {"top-1": Metric(0.99, 0.97, 1.0, 100).to_json()}
        by_hand = {"OpenVINO": {"bytes": 1, "figures": figure}, "LiteRT": {"failure": "the tool | fails"}}
        results["models"][0] |= {"by_hand": by_hand, "float": figure}
        text = _module("page").table_text(results)
        assert "| m-v2 | OpenVINO | top-1 | 99.0 % (97.0 … 100.0) | 98.0 % (96.0 … 99.0) | **no** |" in text
        assert "| m-v2 | LiteRT | the tool \\| fails | | | |" in text
        assert "a script of a few lines" not in _module("page").table_text(self._results())

    def test_a_model_that_is_not_made_again_keeps_when_and_where_it_was(self) -> None:
        results = _module("results")
        earlier = {"made": {"date": "d", "host": {"cpu": "c"}, "versions": {}}, "models": [{"model": "old"}]}
        kept = results.as_committed(earlier, "old")
        assert kept == {"model": "old", "made": earlier["made"]}
        later = {"made": {"date": "e", "host": {}, "versions": {}}, "models": [kept]}
        assert results.as_committed(later, "old") == kept
        assert results.as_committed(earlier, "never made") is None

    def test_what_was_tried_on_other_artifacts_is_not_carried_on(self) -> None:
        """A board's answers go with the artifacts that gave them, a script's with the float model they were judged against."""
        rows = [{"family": name, "precision": "int8", "sha256": f"{name} 1"} for name in ("OpenVINO", "LiteRT")]
        tried = {"OpenVINO": {"int8": {"holds": True}}, "LiteRT": {"int8": {"holds": True}}}
        before = {"rows": rows, "float": {"top-1": 0.9}, "emulated": tried, "by_hand": {"LiteRT": {"bytes": 1}}}
        anew = {"rows": [rows[0], {**rows[1], "sha256": "LiteRT 2"}], "float": {"top-1": 0.9}}
        with_committed = _module("results").with_committed
        part = with_committed(anew, before)
        assert part["emulated"] == {"OpenVINO": tried["OpenVINO"]}
        assert part["by_hand"] == before["by_hand"]
        own = {"OpenVINO": {"int8": {"holds": False}}, "LiteRT": {"int8": {"holds": False}}}
        assert with_committed({**anew, "emulated": own}, before)["emulated"] == own
        assert "by_hand" not in with_committed({**anew, "float": {"top-1": 0.8}}, before)
        assert with_committed(anew, None) == anew

    def test_a_page_without_marks_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "models.md"
        path.write_text("nothing here", "utf-8")
        with pytest.raises(InputError, match="no marks"):
            _module("page").write_page(path, self._results())

    def test_the_committed_page_has_its_marks(self, root: Path) -> None:
        text = (root / "docs/models.md").read_text("utf-8")
        assert _module("page").MARKS.begin in text
        assert _module("page").MARKS.end in text
