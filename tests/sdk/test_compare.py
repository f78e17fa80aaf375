"""Artifacts side by side: a fair race, the limits, the front, and a choice with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

import edgesdk
from edgesdk.benchmark.contest import Bounds, Entry, Figure, front, judged, with_faster_floats
from edgesdk.benchmark.contest_choice import pick
from edgesdk.benchmark.contest_page import comparison_page
from edgesdk.benchmark.host import HostFacts
from edgesdk.benchmark.interleave import Contender, Race, faster_of, interleaved
from edgesdk.benchmark.live_child import LiveChild
from edgesdk.benchmark.statistics import Ratio
from edgesdk.cli.compare import compare
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision, Runtime
from edgesdk_testkit.benchmark_subjects import subject
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, WIDE


def _entry(name: str, precision: str = "fp32", runtime: str = "litert", **changes: Any) -> Entry:
    variant = Variant(
        id=name,
        target="rpi5",
        runtime=Runtime(runtime),
        precision=Precision(precision),
        files={"model": "m"},
        inputs=(),
        outputs=(),
    )
    fields: dict[str, Any] = {"ms": 10.0, "size_bytes": 1000, "rss_bytes": 10**8, "status": "measured", **changes}
    return Entry(name=name, model=fields.pop("model", "m"), variant=variant, **fields)


def _top1(value: float) -> Figure:
    return Figure("top1", value, value - 0.01, value + 0.01, 100)


@pytest.fixture(scope="module")
def two_bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same network on a small picture, and on one of 64 times the area."""
    folder = tmp_path_factory.mktemp("two")
    variants = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
    return (
        write_tiny_bundle(folder / "small.edgebundle", CNN, variants),
        write_tiny_bundle(folder / "wide.edgebundle", WIDE, variants),
    )


class TestRace:
    def test_four_times_the_work_is_four_times_slower(self) -> None:
        race = interleaved(
            [subject("Spinner", "one", ms=1.0), subject("Spinner", "four", ms=4.0)], rounds=3, slice_s=0.03
        )
        found = race.ratio("four", "one")
        assert found.slower
        assert found.value > 2  # four on an idle machine
        assert race.fastest == "one"
        assert len(race.contenders["one"].rounds_ms) == 3

    def test_a_real_network_on_a_larger_picture_is_slower(self, two_bundles: tuple[Path, Path]) -> None:
        from edgesdk.benchmark.subject import bundle_subject

        subjects = []
        for path in two_bundles:
            with open_bundle(path) as opened:
                subjects.append(bundle_subject(opened, opened.manifest.variants[0], name=path.stem))
        race = interleaved(subjects, rounds=3, slice_s=0.03)
        assert race.ratio("wide", "small").low > 2

    def test_who_fails_is_named_and_the_others_go_on(self) -> None:
        bad = subject("Crasher", "bad", runs=30)
        race = interleaved([subject("Spinner", "good", ms=0.5), bad, subject("Refuser", "no")], rounds=2, slice_s=0.02)
        assert set(race.contenders) == {"good"}
        assert "SIGSEGV" in race.failed["bad"]
        assert "bad file" in race.failed["no"]
        with pytest.raises(InputError, match="bad file"):
            race.ratio("good", "no")

    def test_one_that_hangs_does_not_hold_up_the_race(self) -> None:
        race = interleaved([subject("Hanger"), subject("Spinner")], rounds=1, slice_s=0.02, load_s=3.0)
        assert set(race.contenders) == {"Spinner"}
        assert "no answer" in race.failed["Hanger"]

    def test_only_one_runs_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, str]] = []
        real = LiveChild.ask

        def ask(self: LiveChild, what: str, **arguments: Any) -> Any:
            asked.append((self.name, what))
            return real(self, what, **arguments)  # comes back when the child is done

        monkeypatch.setattr(LiveChild, "ask", ask)
        interleaved([subject("Spinner", name) for name in "abc"], rounds=3, slice_s=0.01)
        turns = "".join(name for name, what in asked if what == "slice")
        assert turns == "abcbcacab"

    def test_equal_names_are_refused(self) -> None:
        with pytest.raises(InputError, match="same name"):
            interleaved([subject("Spinner"), subject("Spinner")])

    def test_variants_of_one_bundle(self, two_bundles: tuple[Path, Path]) -> None:
        race = faster_of(two_bundles[1], ["generic-onnx-onnxruntime-fp32", "rpi5-litert-fp32"], rounds=2, slice_s=0.02)
        assert len(race.contenders) == 2
        assert race.fastest in race.contenders
        assert race.to_json()["failed"] == {}

    def test_nothing_timed_has_no_fastest(self) -> None:
        assert Race({}, {"a": "crashed"}, 1).fastest is None
        assert Contender("a", (3.0, 1.0, 2.0), 0).ms == 2.0


class TestLimits:
    def test_the_targets_and_the_users(self) -> None:
        target = find_target("rpi5")
        big = _entry("big", size_bytes=600 << 20, rss_bytes=5 << 30, ms=50.0)
        misses = judged(big, target, Bounds(ms=20.0, size_bytes=100, rss_bytes=1 << 30)).misses
        assert len(misses) == 5
        assert any("the memory of rpi5" in text for text in misses)
        assert judged(_entry("small"), target, Bounds(ms=20.0)).misses == ()
        assert judged(_entry("small"), None, Bounds()).misses == ()


class TestSlowInt8:
    def test_it_is_marked_and_not_chosen(self) -> None:
        entries = [_entry("float", ms=5.0, size_bytes=4000), _entry("int8", "int8", ms=6.0, size_bytes=1000)]
        marked = with_faster_floats(entries, lambda _a, _b: Ratio(1.2, 1.15, 1.25))
        assert marked[1].slower_than == ("float", Ratio(1.2, 1.15, 1.25))
        chosen = pick(marked, max_drop=0.01)
        assert chosen.name == "float"
        assert chosen.passed_over == ("int8: takes 1.20 times as long as the float float on this host",)

    def test_a_faster_one_is_not_marked(self) -> None:
        entries = [_entry("float", ms=5.0), _entry("int8", "int8", ms=2.0)]
        marked = with_faster_floats(entries, lambda _a, _b: Ratio(0.4, 0.3, 0.5))
        assert marked[1].slower_than is None
        assert pick(marked, max_drop=0.01).name == "int8"

    def test_one_that_cannot_be_told_apart_is_not_marked(self) -> None:
        entries = [_entry("float", ms=5.0), _entry("int8", "int8", ms=5.01)]
        assert with_faster_floats(entries, lambda _a, _b: Ratio(1.01, 0.95, 1.1))[1].slower_than is None

    def test_it_is_compared_on_its_own_runtime_and_model(self) -> None:
        asked: list[str] = []

        def ratio(_one: str, other: str) -> Ratio:
            asked.append(other)
            return Ratio(2, 2, 2)

        entries = [
            _entry("other-model", ms=0.1, model="x"),
            _entry("other-runtime", ms=1.0, runtime="openvino"),
            _entry("own", ms=9.0),
            _entry("int8", "int8", ms=10.0),
        ]
        with_faster_floats(entries, ratio)
        assert asked == ["own"]


class TestChoice:
    def test_the_fastest_that_is_accurate_enough(self) -> None:
        entries = [
            _entry("exact", ms=10.0, figure=_top1(0.90)),
            _entry("good", ms=5.0, figure=_top1(0.895)),
            _entry("bad", ms=1.0, figure=_top1(0.80)),
        ]
        chosen = pick(entries, max_drop=0.01)
        assert chosen.name == "good"
        assert "top1 is 0.1000 worse than the best" in chosen.passed_over[0]
        assert pick(entries, max_drop=0.2).name == "bad"

    def test_of_two_as_fast_the_smaller(self) -> None:
        entries = [_entry("large", ms=5.0, size_bytes=2000), _entry("small", ms=5.1, size_bytes=1000)]
        assert pick(entries, max_drop=0.01).name == "small"
        assert "accuracy was not measured" in pick(entries, max_drop=0.01).why

    def test_an_error_is_better_when_it_is_smaller(self) -> None:
        figures = [Figure("mae", v, v, v, 10, higher_is_better=False) for v in (0.1, 0.5)]
        entries = [_entry(f"e{f.value}", ms=5 - f.value, figure=f) for f in figures]
        assert pick(entries, max_drop=0.01).name == "e0.1"

    def test_none_will_do(self) -> None:
        entries = [replace(_entry("slow"), misses=("too slow",)), _entry("dead", ms=None, failure="it crashed")]
        chosen = pick(entries, max_drop=0.01)
        assert chosen.name is None
        assert chosen.passed_over == ("slow: too slow", "dead: it crashed")
        assert "Convert with --precision int8" in chosen.why
        missed = judged(_entry("slow", ms=9.0), None, Bounds(ms=1.0, size_bytes=10))
        assert "Allow more with --max-ms or --max-bytes, or convert" in pick([missed], max_drop=0.01).why
        assert "edgesdk doctor" in pick([_entry("dead", ms=None)], max_drop=0.01).why
        source = Entry("card.yaml", "m", None, 10, "not converted", failure="it is not converted")
        assert "edgesdk convert" in pick([source], max_drop=0.01).why
        poor = judged(_entry("poor", figures={"top1": _top1(0.8)}), None, Bounds(least={"top1": 0.9}))
        assert pick([poor], max_drop=0.01).why.endswith(
            "Allow more with --min-metric, or take a model that is more accurate."
        )

    def test_a_time_from_another_machine_is_said_to_be_one(self) -> None:
        assert "not on rpi5" in pick([_entry("a", status="simulated")], max_drop=0.01).why

    def test_the_front_leaves_out_what_is_beaten_in_everything(self) -> None:
        entries = [
            _entry("fast", ms=1.0, size_bytes=3000, figure=_top1(0.8)),
            _entry("small", ms=3.0, size_bytes=1000, figure=_top1(0.8)),
            _entry("good", ms=4.0, size_bytes=4000, figure=_top1(0.9)),
            _entry("beaten", ms=4.0, size_bytes=4000, figure=_top1(0.85)),
            _entry("dead", ms=None),
        ]
        assert front(entries) == ["fast", "small", "good"]

    def test_parity_counts_where_no_metric_is_known_but_not_beyond_what_matters(self) -> None:
        entries = [_entry("a", worst_db=140.0), _entry("b", worst_db=90.0, ms=9.0), _entry("c", worst_db=20.0, ms=12.0)]
        assert front(entries) == ["b"]

    def test_something_else_than_speed_may_decide(self) -> None:
        entries = [
            _entry("fast", ms=1.0, size_bytes=3000, rss_bytes=300, figure=_top1(0.895)),
            _entry("good", ms=4.0, size_bytes=4000, rss_bytes=200, figure=_top1(0.9)),
            _entry("small", ms=3.0, size_bytes=1000, rss_bytes=100, figure=_top1(0.892)),
        ]
        for prefer, name in (("speed", "fast"), ("metric", "good"), ("size", "small"), ("memory", "small")):
            assert pick(entries, max_drop=0.01, prefer=prefer).name == name  # type: ignore[arg-type]

    def test_figures_have_limits_too(self) -> None:
        figures = {"f1_macro": _top1(0.8), "ece": Figure("ece", 0.2, 0.1, 0.3, 9, higher_is_better=False)}
        entry = _entry("a", figures=figures)
        assert judged(entry, None, Bounds(least={"f1_macro": 0.8}, most={"ece": 0.2})).misses == ()
        missed = judged(entry, None, Bounds(least={"f1_macro": 0.9}, most={"ece": 0.1}))
        assert missed.misses == ("f1_macro 0.8000 < 0.9 (--min-metric)", "ece 0.2000 > 0.1 (--max-metric)")
        assert missed.over == pytest.approx(2.0)
        # A figure that is not defined reaches nothing.
        assert judged(_entry("b"), None, Bounds(least={"f1_macro": 0.1})).misses

    def test_where_none_fits_the_nearest_is_named(self) -> None:
        entries = [judged(_entry(name, ms=ms), None, Bounds(ms=1.0)) for name, ms in (("far", 9.0), ("near", 1.2))]
        assert "near came nearest, 1.2 times its limit: 1.2 ms > 1 ms (--max-ms)" in pick(entries, max_drop=0.01).why

    def test_a_model_that_is_not_converted_is_shown_and_not_taken(self) -> None:
        source = Entry("card.yaml", "m", None, 10, "not converted", figure=_top1(0.91), failure="it is not converted")
        chosen = pick([source, _entry("int8", "int8", figure=_top1(0.905))], max_drop=0.01)
        assert chosen.name == "int8"
        assert chosen.passed_over == ("card.yaml: it is not converted",)
        assert source.to_json()["precision"] == "source"


class TestPage:
    HOST = HostFacts("a cpu", "x86_64", 2, None, "a system", "3.11", None, None, 0.0)

    def test_says_what_the_front_is(self) -> None:
        entries = [_entry("one", ms=1.0, figure=_top1(0.9)), _entry("two", ms=2.0, figure=_top1(0.8))]
        captions = []
        for shown in (entries, entries[:1], [entries[1], replace(entries[0], ms=3.0)]):
            html = comparison_page(shown, pick(shown, max_drop=0.2), self.HOST, 1).html()
            captions.append(html.partition("<figcaption>")[2].partition("</figcaption>")[0])
        assert "one beats all others in both" in captions[0]
        assert "one artifact only" in captions[1]
        assert "the line joins" in captions[2]


class TestCommand:
    def _compare(self, capsys: pytest.CaptureFixture[str], *artifacts: str, **options: Any) -> dict[str, Any]:
        compare(list(artifacts), rounds=2, slice_s=0.02, threads=1, json=True, **options)
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    def test_two_bundles_are_compared(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        small, wide = two_bundles
        page = tmp_path / "report.html"
        found = self._compare(capsys, f"{small}:generic-onnx-onnxruntime-fp32", str(wide), report=page)
        names = [entry["name"] for entry in found["entries"]]
        assert names == [
            "small.edgebundle:generic-onnx-onnxruntime-fp32",
            "wide.edgebundle:generic-onnx-onnxruntime-fp32",
            "wide.edgebundle:rpi5-litert-fp32",
        ]
        assert found["choice"]["name"] == names[0]
        assert found["entries"][0]["front"]
        assert all(entry["ms"] > 0 and entry["rss_bytes"] > 0 for entry in found["entries"])
        text = page.read_text("utf-8")
        assert "<svg" in text
        assert f"Take {names[0]}" in text
        assert "http" not in text.split("<svg")[0]

    def test_nothing_within_the_limits_is_a_failed_gate(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(typer.Exit) as ended:
            self._compare(capsys, str(two_bundles[0]), max_bytes="1B")
        assert ended.value.exit_code == 3
        document = json.loads(capsys.readouterr().out)
        assert document["choice"]["name"] is None
        assert all("--max-bytes" in entry["misses"][0] for entry in document["entries"])

    def test_a_program_compares_a_targets_variants(self, two_bundles: tuple[Path, Path]) -> None:
        lines: list[str] = []
        bounds = Bounds(rss_bytes=2 << 30)
        found = edgesdk.compare(
            two_bundles, target="rpi5", bounds=bounds, threads=1, rounds=2, slice_s=0.02, progress=lines.append
        )
        assert [entry.name for entry in found.entries] == [f"{p.name}:rpi5-litert-fp32" for p in two_bundles]
        assert {entry.variant.target for entry in found.entries if entry.variant} == {"rpi5"}
        assert not any(entry.misses for entry in found.entries)
        assert found.choice.name == found.entries[0].name == found.front[0]
        assert found.figures is None
        assert lines
        assert found.to_json()["threads"] == 1

    def test_what_a_program_asks_for_is_checked(self, two_bundles: tuple[Path, Path]) -> None:
        with pytest.raises(InputError, match="A limit on a figure needs figures"):
            edgesdk.compare(two_bundles, bounds=Bounds(least={"top1": 0.5}))
        with pytest.raises(InputError, match="The preference 'beauty' is not known"):
            edgesdk.compare(two_bundles, prefer="beauty")  # type: ignore[arg-type]  # what is not typed may be anything

    def test_a_size_in_words_is_a_limit(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = self._compare(capsys, f"{two_bundles[0]}:generic-onnx-onnxruntime-fp32", max_rss="2GB")
        assert all(entry["meets_limits"] for entry in found["entries"])

    @pytest.mark.parametrize("size", ["lots", "4 parsecs"])
    def test_a_size_that_is_none_is_refused(self, two_bundles: tuple[Path, Path], size: str) -> None:
        with pytest.raises(InputError, match="--max-bytes"):
            compare([str(two_bundles[0])], max_bytes=size)

    def test_accuracy_is_measured_on_data(
        self, root: Path, digits_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        render = [sys.executable, str(root / "examples/digits/render_eval.py"), "detector", str(tmp_path / "data")]
        subprocess.run([*render, "--count", "10"], check=True, capture_output=True)
        found = self._compare(capsys, str(digits_bundle), data=tmp_path / "data")
        assert len(found["entries"]) == 2
        for entry in found["entries"]:
            assert entry["metric"]["name"] == "ap50"
            assert entry["metric"]["low"] <= entry["metric"]["value"] <= entry["metric"]["high"]
            assert entry["worst_parity_db"] > 60

    def test_models_that_differ_are_told_apart_on_data(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = write_labelled(tmp_path / "data", 30)
        page = tmp_path / "report.html"
        found = self._compare(
            capsys, *map(str, two_bundles), target="rpi5", data=data, folds=3, report=page, min_metric=["top1=0.1"]
        )
        small, wide = found["entries"]
        assert small["metrics"]["top1"]["value"] == 1.0
        assert {"f1_macro", "ece", "balanced_accuracy"} <= set(small["metrics"])
        difference = found["differences"][0]
        assert difference["figure"] == "top1"
        assert difference["value"] == pytest.approx(1.0 - wide["metrics"]["top1"]["value"], abs=1e-6)
        assert (difference["better"] == small["name"]) == (difference["p_adjusted"] < 0.05)
        folds = found["folds"][small["name"]]["top1"]
        assert folds == {"mean": 1.0, "sd": 0.0, "folds": [1.0, 1.0, 1.0]}
        text = page.read_text("utf-8")
        assert all(heading in text for heading in ("All figures", "Which differ by more than chance", "Over folds"))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"folds": 3}, "Folds need figures"),
            ({"min_metric": ["top1"]}, "no limit"),
            ({"prefer": "beauty"}, "not known"),
            ({"prefer": "metric"}, "To prefer the metric needs figures"),
            ({"folds": 1}, "divides nothing"),
            ({"min_metric": ["top2=0.5"]}, "A limit on a figure needs figures"),
        ],
        ids=["folds", "limit", "prefer", "metric", "one-fold", "no-data"],
    )
    def test_options_that_do_not_go_together_are_refused(
        self, two_bundles: tuple[Path, Path], options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InputError, match=said):
            compare([str(two_bundles[0])], **options)

    @pytest.mark.parametrize("drop", [5.0, -0.1, float("nan")])
    def test_a_drop_that_is_no_fraction_is_refused(self, two_bundles: tuple[Path, Path], drop: float) -> None:
        with pytest.raises(InputError, match="max-drop must lie between 0 and 1"):
            compare([str(two_bundles[0])], max_drop=drop)

    def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgesdk.comparison.compare._timed", lambda *_: pytest.fail("it was measured"))
        (tmp_path / "file").write_text("")
        for report in (tmp_path, tmp_path / "file/report.html"):
            with pytest.raises(InputError, match=r"folder|cannot be written"):
                compare([str(two_bundles[0])], report=report)

    def test_a_figure_that_there_is_not_is_refused_before_anything_runs(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgesdk.comparison.compare._timed", lambda *_: pytest.fail("it was measured"))
        with pytest.raises(InputError, match="no figure 'top2' here"):
            compare([str(two_bundles[0])], data=write_labelled(tmp_path / "data", 5), min_metric=["top2=0.5"])

    def test_data_does_not_fit_two_tasks(self, two_bundles: tuple[Path, Path], tmp_path: Path) -> None:
        other = write_tiny_bundle(tmp_path / "o.edgebundle", CNN, (("rpi5", Runtime.LITERT),), labels=tuple("abcde"))
        with pytest.raises(InputError, match="different tasks or labels"):
            compare([str(two_bundles[0]), str(other)], data=tmp_path)
