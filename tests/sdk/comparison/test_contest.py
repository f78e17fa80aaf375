"""The limits, INT8 that is slower than its float, the front, and a choice with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesdk.benchmark.contest import Bounds, Entry, Figure, front, judged, with_faster_floats
from edgesdk.benchmark.contest_choice import pick
from edgesdk.benchmark.contest_page import comparison_page
from edgesdk.benchmark.host import HostFacts
from edgesdk.benchmark.statistics import Ratio
from edgesdk_targets.catalogue import find_target
from edgesdk_testkit.contest_entries import entry, top1


class TestLimits:
    def test_the_targets_and_the_users(self) -> None:
        target = find_target("rpi5")
        big = entry("big", size_bytes=600 << 20, rss_bytes=5 << 30, ms=50.0)
        misses = judged(big, target, Bounds(ms=20.0, size_bytes=100, rss_bytes=1 << 30)).misses
        assert len(misses) == 5
        assert any("the memory of rpi5" in text for text in misses)
        assert judged(entry("small"), target, Bounds(ms=20.0)).misses == ()
        assert judged(entry("small"), None, Bounds()).misses == ()


class TestSlowInt8:
    def test_it_is_marked_and_not_chosen(self) -> None:
        entries = [entry("float", ms=5.0, size_bytes=4000), entry("int8", "int8", ms=6.0, size_bytes=1000)]
        marked = with_faster_floats(entries, lambda _a, _b: Ratio(1.2, 1.15, 1.25))
        assert marked[1].slower_than == ("float", Ratio(1.2, 1.15, 1.25))
        chosen = pick(marked, max_drop=0.01)
        assert chosen.name == "float"
        assert chosen.passed_over == ("int8: takes 1.20 times as long as the float float on this host",)

    def test_a_faster_one_is_not_marked(self) -> None:
        entries = [entry("float", ms=5.0), entry("int8", "int8", ms=2.0)]
        marked = with_faster_floats(entries, lambda _a, _b: Ratio(0.4, 0.3, 0.5))
        assert marked[1].slower_than is None
        assert pick(marked, max_drop=0.01).name == "int8"

    def test_one_that_cannot_be_told_apart_is_not_marked(self) -> None:
        entries = [entry("float", ms=5.0), entry("int8", "int8", ms=5.01)]
        assert with_faster_floats(entries, lambda _a, _b: Ratio(1.01, 0.95, 1.1))[1].slower_than is None

    def test_it_is_compared_on_its_own_runtime_and_model(self) -> None:
        asked: list[str] = []

        def ratio(_one: str, other: str) -> Ratio:
            asked.append(other)
            return Ratio(2, 2, 2)

        entries = [
            entry("other-model", ms=0.1, model="x"),
            entry("other-runtime", ms=1.0, runtime="openvino"),
            entry("own", ms=9.0),
            entry("int8", "int8", ms=10.0),
        ]
        with_faster_floats(entries, ratio)
        assert asked == ["own"]


class TestChoice:
    def test_the_fastest_that_is_accurate_enough(self) -> None:
        entries = [
            entry("exact", ms=10.0, figure=top1(0.90)),
            entry("good", ms=5.0, figure=top1(0.895)),
            entry("bad", ms=1.0, figure=top1(0.80)),
        ]
        chosen = pick(entries, max_drop=0.01)
        assert chosen.name == "good"
        assert "top1 is 0.1000 worse than the best" in chosen.passed_over[0]
        assert pick(entries, max_drop=0.2).name == "bad"

    def test_of_two_as_fast_the_smaller(self) -> None:
        entries = [entry("large", ms=5.0, size_bytes=2000), entry("small", ms=5.1, size_bytes=1000)]
        assert pick(entries, max_drop=0.01).name == "small"
        assert "accuracy was not measured" in pick(entries, max_drop=0.01).why

    def test_an_error_is_better_when_it_is_smaller(self) -> None:
        figures = [Figure("mae", v, v, v, 10, higher_is_better=False) for v in (0.1, 0.5)]
        entries = [entry(f"e{f.value}", ms=5 - f.value, figure=f) for f in figures]
        assert pick(entries, max_drop=0.01).name == "e0.1"

    def test_none_will_do(self) -> None:
        entries = [replace(entry("slow"), misses=("too slow",)), entry("dead", ms=None, failure="it crashed")]
        chosen = pick(entries, max_drop=0.01)
        assert chosen.name is None
        assert chosen.passed_over == ("slow: too slow", "dead: it crashed")
        assert "Convert with --precision int8" in chosen.why
        missed = judged(entry("slow", ms=9.0), None, Bounds(ms=1.0, size_bytes=10))
        assert "Allow more with --max-ms or --max-bytes, or convert" in pick([missed], max_drop=0.01).why
        assert "edgesdk doctor" in pick([entry("dead", ms=None)], max_drop=0.01).why
        source = Entry("card.yaml", "m", None, 10, "not converted", failure="it is not converted")
        assert "edgesdk convert" in pick([source], max_drop=0.01).why
        poor = judged(entry("poor", figures={"top1": top1(0.8)}), None, Bounds(least={"top1": 0.9}))
        assert pick([poor], max_drop=0.01).why.endswith(
            "Allow more with --min-metric, or take a model that is more accurate."
        )

    def test_a_time_from_another_machine_is_said_to_be_one(self) -> None:
        assert "not on rpi5" in pick([entry("a", status="simulated")], max_drop=0.01).why

    def test_the_front_leaves_out_what_is_beaten_in_everything(self) -> None:
        entries = [
            entry("fast", ms=1.0, size_bytes=3000, figure=top1(0.8)),
            entry("small", ms=3.0, size_bytes=1000, figure=top1(0.8)),
            entry("good", ms=4.0, size_bytes=4000, figure=top1(0.9)),
            entry("beaten", ms=4.0, size_bytes=4000, figure=top1(0.85)),
            entry("dead", ms=None),
        ]
        assert front(entries) == ["fast", "small", "good"]

    def test_parity_counts_where_no_metric_is_known_but_not_beyond_what_matters(self) -> None:
        entries = [entry("a", worst_db=140.0), entry("b", worst_db=90.0, ms=9.0), entry("c", worst_db=20.0, ms=12.0)]
        assert front(entries) == ["b"]

    def test_something_else_than_speed_may_decide(self) -> None:
        entries = [
            entry("fast", ms=1.0, size_bytes=3000, rss_bytes=300, figure=top1(0.895)),
            entry("good", ms=4.0, size_bytes=4000, rss_bytes=200, figure=top1(0.9)),
            entry("small", ms=3.0, size_bytes=1000, rss_bytes=100, figure=top1(0.892)),
        ]
        for prefer, name in (("speed", "fast"), ("metric", "good"), ("size", "small"), ("memory", "small")):
            assert pick(entries, max_drop=0.01, prefer=prefer).name == name  # type: ignore[arg-type]

    def test_figures_have_limits_too(self) -> None:
        figures = {"f1_macro": top1(0.8), "ece": Figure("ece", 0.2, 0.1, 0.3, 9, higher_is_better=False)}
        figured = entry("a", figures=figures)
        assert judged(figured, None, Bounds(least={"f1_macro": 0.8}, most={"ece": 0.2})).misses == ()
        missed = judged(figured, None, Bounds(least={"f1_macro": 0.9}, most={"ece": 0.1}))
        assert missed.misses == ("f1_macro 0.8000 < 0.9 (--min-metric)", "ece 0.2000 > 0.1 (--max-metric)")
        assert missed.over == pytest.approx(2.0)
        # A figure that is not defined reaches nothing.
        assert judged(entry("b"), None, Bounds(least={"f1_macro": 0.1})).misses

    def test_where_none_fits_the_nearest_is_named(self) -> None:
        entries = [judged(entry(name, ms=ms), None, Bounds(ms=1.0)) for name, ms in (("far", 9.0), ("near", 1.2))]
        assert "near came nearest, 1.2 times its limit: 1.2 ms > 1 ms (--max-ms)" in pick(entries, max_drop=0.01).why

    def test_a_model_that_is_not_converted_is_shown_and_not_taken(self) -> None:
        source = Entry("card.yaml", "m", None, 10, "not converted", figure=top1(0.91), failure="it is not converted")
        chosen = pick([source, entry("int8", "int8", figure=top1(0.905))], max_drop=0.01)
        assert chosen.name == "int8"
        assert chosen.passed_over == ("card.yaml: it is not converted",)
        assert source.to_json()["precision"] == "source"


class TestPage:
    HOST = HostFacts("a cpu", "x86_64", 2, None, "a system", "3.11", None, None, 0.0)

    def test_says_what_the_front_is(self) -> None:
        entries = [entry("one", ms=1.0, figure=top1(0.9)), entry("two", ms=2.0, figure=top1(0.8))]
        captions = []
        for shown in (entries, entries[:1], [entries[1], replace(entries[0], ms=3.0)]):
            html = comparison_page(shown, pick(shown, max_drop=0.2), self.HOST, 1).html()
            captions.append(html.partition("<figcaption>")[2].partition("</figcaption>")[0])
        assert "one beats all others in both" in captions[0]
        assert "one artifact only" in captions[1]
        assert "the line joins" in captions[2]
