"""Which settings are looked at, in which order, and which is taken: all without a runtime and without time passing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tuning.grid import Given, settings_of, ways
from edgesdk_targets.tuning.halving import Budget, Looked, measure
from edgesdk_targets.tuning.ranking import ranked
from edgesdk_targets.tuning.setting import Hint, Measured, Setting, Slice
from edgesdk_targets.tuning.tuned import Tuning
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant
from edgesdk_testkit.tiny_models import CNN, STREAM

LATENCY, THROUGHPUT, AGE = Hint.LATENCY, Hint.THROUGHPUT, Hint.AGE


def setting(
    name: str = "a", threads: int = 1, streams: int = 1, precision: Precision = Precision.FP32, *, pin: bool = False
) -> Setting:
    return Setting(name, Runtime.OPENVINO, precision, threads, streams, pin)


def measured(of: Setting, *ms: float, cpu: float = 1.0, prepare: float = 0.0, period: float = 0.0) -> Measured:
    return Measured(of, prepare, 0, tuple(Slice(one, one, of.streams * 1000 / one, cpu) for one in ms), period)


@pytest.mark.parametrize(
    ("hint", "cores", "given", "expected"),
    [
        (LATENCY, 1, Given(), [(1, 1)]),
        (LATENCY, 2, Given(), [(2, 1), (1, 1)]),
        (AGE, 4, Given(), [(4, 1), (3, 1), (2, 1), (1, 1)]),
        (THROUGHPUT, 2, Given(), [(1, 2), (2, 1)]),
        (THROUGHPUT, 4, Given(), [(1, 4), (2, 2), (3, 1), (4, 1)]),
        (THROUGHPUT, 6, Given(), [(1, 6), (2, 3), (4, 1), (5, 1), (6, 1)]),
        (THROUGHPUT, 4, Given(threads=2), [(2, 2)]),
        (THROUGHPUT, 4, Given(streams=3), [(1, 3), (2, 3), (3, 3), (4, 3)]),
        (LATENCY, 4, Given(threads=3), [(3, 1)]),
        (LATENCY, 4, Given(threads=3, streams=2), [(3, 2)]),
    ],
)
def test_ways_to_use_the_cores(hint: Hint, cores: int, given: Given, expected: list[tuple[int, int]]) -> None:
    assert list(ways(hint, cores, given)) == expected


@pytest.mark.parametrize(
    ("hint", "cameras", "given", "expected"),
    [
        (AGE, 2, Given(), [(4, 1), (3, 1), (2, 2), (1, 2)]),
        (AGE, 8, Given(), [(4, 1), (3, 1), (2, 2), (1, 4)]),
        (AGE, 8, Given(threads=1), [(1, 4)]),
        (AGE, 8, Given(streams=1), [(4, 1), (3, 1), (2, 1), (1, 1)]),
        (LATENCY, 8, Given(threads=1), [(1, 1)]),
    ],
)
def test_cameras_that_share_a_model_are_answered_at_once_as_far_as_there_are_cores(
    hint: Hint, cameras: int, given: Given, expected: list[tuple[int, int]]
) -> None:
    assert list(ways(hint, 4, given, cameras=cameras)) == expected


def test_a_model_with_memory_has_one_stream_whatever_is_asked() -> None:
    variant, _ = tiny_variant(STREAM, "x86-cpu", Runtime.ONNXRUNTIME)
    manifest = tiny_manifest(STREAM, [variant])
    groups = settings_of([(variant, Runtime.ONNXRUNTIME)], manifest, THROUGHPUT, 4, Given(streams=4))
    assert {one.streams for one in groups[0]} == {1}


def test_pinning_is_tried_only_under_the_claim_and_where_the_runtime_can() -> None:
    both = [tiny_variant(CNN, "x86-cpu", runtime)[0] for runtime in (Runtime.OPENVINO, Runtime.ONNXRUNTIME)]
    manifest = tiny_manifest(CNN, both)
    runnable = [(variant, variant.runtime) for variant in both]
    claimed = settings_of(runnable, manifest, LATENCY, 2, Given(pins=(False, True)))
    assert [[one.pin for one in group] for group in claimed] == [[False, True, False, True], [False, False]]
    free = settings_of(runnable, manifest, LATENCY, 2, Given())
    assert not any(one.pin for group in free for one in group)


class SteadyBench:
    """A machine on which a setting always takes its time, and time passes only here."""

    def __init__(self, ms: Callable[[Setting], float]) -> None:
        self.ms = ms
        self.now = 0.0
        self.opened: list[Setting] = []
        self.turns: list[Setting] = []
        self.left: set[Setting] = set()
        self.breaks: dict[str, str] = {}

    def _slice(self, of: Setting) -> Slice:
        ms = self.ms(of)
        return Slice(ms, ms, of.streams * 1000 / ms, ms * of.threads)

    def open(self, setting: Setting) -> Measured:
        self.now += 0.5
        if self.breaks.get(setting.variant) == "open":
            raise SessionFailed("it does not load")
        self.opened.append(setting)
        self.left.add(setting)
        return Measured(setting, 0.0, 0, (self._slice(setting),))

    def turn(self, setting: Setting) -> Slice:
        assert setting in self.left
        self.now += 0.2
        if self.breaks.get(setting.variant) == "turn":
            raise SessionFailed("it does not run")
        self.turns.append(setting)
        return self._slice(setting)

    def close(self, setting: Setting) -> None:
        self.left.remove(setting)

    def look(self, groups: list[list[Setting]], hint: Hint = LATENCY, seconds: float = 100.0) -> Looked:
        found = measure(groups, self, hint, Budget(seconds, lambda: self.now))
        assert not self.left, "every setting is closed again"
        return found


def groups_of(names: str, threads: int = 3) -> list[list[Setting]]:
    return [[setting(name, count) for count in range(threads, 0, -1)] for name in names]


def test_a_variant_that_is_far_behind_gets_one_look() -> None:
    bench = SteadyBench(lambda one: {"a": 10.0, "b": 12.0, "c": 30.0}[one.variant])
    bench.look(groups_of("cab"))
    assert [one.variant for one in bench.opened] == ["c", "a", "b", "a", "a", "b", "b"]
    assert "c" not in {one.variant for one in bench.turns}


def test_the_best_are_timed_by_turns_and_another_begins_each_round() -> None:
    bench = SteadyBench(lambda one: 10.0 + one.threads / 10)
    found = bench.look(groups_of("a"))
    assert [one.threads for one in bench.turns[:9]] == [3, 2, 1, 2, 1, 3, 1, 3, 2]
    assert {len(one.rounds) for one in found.measured} == {8}


def test_what_falls_behind_is_given_up_and_one_left_ends_it() -> None:
    bench = SteadyBench(lambda one: 10.0 * (1 + one.threads / 6))
    found = bench.look(groups_of("a"))
    rounds = {one.setting.threads: len(one.rounds) for one in found.measured}
    assert rounds[3] == 3
    assert rounds[1] > rounds[3]


def test_one_disturbed_turn_gives_nothing_up() -> None:
    disturbed = iter([15.0])
    bench = SteadyBench(lambda one: 10.0 if one.variant == "a" else next(disturbed, 9.0))
    found = bench.look(groups_of("ab", 1))
    assert ranked(found.measured, LATENCY).order[0].setting.variant == "b"


def test_a_short_budget_looks_at_the_best_first_and_names_what_it_skipped() -> None:
    bench = SteadyBench(lambda one: {"a": 12.0, "b": 10.0}[one.variant])
    found = bench.look(groups_of("ab"), seconds=2.0)
    assert [one.variant for one in bench.opened] == ["a", "b", "b"]
    assert [(one.variant, one.threads) for one in found.skipped] == [("b", 1), ("a", 2), ("a", 1)]
    assert len(bench.turns) >= 1


def test_what_there_was_no_time_for_is_told_and_not_denied() -> None:
    one = (measured(setting("a", 2), 10.0, 10.0),)
    short = Tuning(LATENCY, one, skipped=(setting("a", 1), setting("b")), budget_s=4.0).in_order()
    assert "nothing else was to be measured" not in short.why
    assert "no time" in short.why
    assert short.notes == ("2 settings were not measured; give --seconds 12",)
    whole = Tuning(LATENCY, one, budget_s=4.0).in_order()
    assert "nothing else was to be measured" in whole.why
    assert whole.notes == ()


def test_a_short_or_disturbed_answer_serves_no_larger_request() -> None:
    calm, disturbed = measured(setting(), 10.0, 10.0), measured(setting(), 10.0, 30.0)
    left = (setting("a", 4),)
    for found in (Tuning(LATENCY, (calm,), skipped=left, budget_s=1.0), Tuning(LATENCY, (disturbed,), budget_s=1.0)):
        assert found.serves(1.0)
        assert found.serves(0.5)
        assert not found.serves(8.0)
    assert Tuning(LATENCY, (calm,), budget_s=1.0).serves(8.0)


@pytest.mark.parametrize("when", ["open", "turn"])
def test_a_variant_that_fails_is_refused_and_the_others_go_on(when: str) -> None:
    bench = SteadyBench(lambda one: 10.0)
    bench.breaks = {"a": when}
    found = bench.look(groups_of("ab"))
    assert list(found.refused) == ["a"]
    order = Tuning(LATENCY, tuple(found.measured), refused=found.refused).in_order()
    assert {one.setting.variant for one in order.measured} == {"b"}


def test_nothing_that_runs_is_no_choice() -> None:
    bench = SteadyBench(lambda one: 10.0)
    bench.breaks = {"a": "open"}
    found = bench.look(groups_of("a"))
    tuning = Tuning(LATENCY, tuple(found.measured), refused=found.refused).in_order()
    assert tuning.best is None
    assert "no variant" in tuning.why


INT8 = Precision.INT8


@pytest.mark.parametrize(
    ("hint", "entries", "first"),
    [
        # The quickest, preparing the picture included.
        (LATENCY, [measured(setting("a", 2), 10.0), measured(setting("a", 1), 11.0)], ("a", 2)),
        (LATENCY, [measured(setting("a"), 10.0, prepare=2.0), measured(setting("b"), 11.0)], ("b", 1)),
        # Equal within what can be told: the one with less work.
        (LATENCY, [measured(setting("a", 2), 10.0, cpu=18.0), measured(setting("a", 1), 10.2, cpu=10.2)], ("a", 1)),
        # Many a second, though each takes longer.
        (THROUGHPUT, [measured(setting("a", 2), 10.0), measured(setting("a", 1, 2), 15.0)], ("a", 1)),
        # Within 4 % of the youngest, the one with less work; further behind not.
        (AGE, [measured(setting("a", 2), 10.0, cpu=18.0), measured(setting("a", 1), 10.3, cpu=10.4)], ("a", 1)),
        (AGE, [measured(setting("a", 2), 10.0, cpu=18.0), measured(setting("a", 1), 10.5, cpu=10.4)], ("a", 2)),
        # Of what is known of a scene, a frame's time is the most: 44.8 ms are within 4 % of 43.3, and 45.4 are not.
        (
            AGE,
            [measured(setting("a", 2), 10.0, cpu=18.0, period=33.3), measured(setting("a"), 11.5, period=33.3)],
            ("a", 1),
        ),
        (
            AGE,
            [measured(setting("a", 2), 10.0, cpu=18.0, period=33.3), measured(setting("a"), 12.1, period=33.3)],
            ("a", 2),
        ),
        # INT8 only where it is faster.
        (LATENCY, [measured(setting("i", precision=INT8), 9.9), measured(setting("f"), 10.0)], ("f", 1)),
        (LATENCY, [measured(setting("i", precision=INT8), 8.0), measured(setting("f"), 10.0)], ("i", 1)),
        # What was dropped early saw a quieter moment, and does not win by it.
        (LATENCY, [measured(setting("a"), 5.0, 9.0, 9.0, 9.0), measured(setting("b"), 8.0)], ("a", 1)),
        # A disturbance hits all that take turns: the ratio of the rounds counts.
        (
            AGE,
            [
                measured(setting("a", 2), 10.0, 30.0, 10.0, cpu=18.0),
                measured(setting("a", 1), 10.3, 31.0, 10.3, cpu=9.0),
            ],
            ("a", 1),
        ),
    ],
)
def test_which_is_taken(hint: Hint, entries: list[Measured], first: tuple[str, int]) -> None:
    for order in (entries, entries[::-1]):
        best = ranked(order, hint).order[0].setting
        assert (best.variant, best.threads) == first


def beside(of: Setting, fps: float, cpu: float, others: float) -> Measured:
    """What a setting took beside other work: the cores that it did not get make its rate, and not its work, smaller."""
    one = Slice(1000 * of.streams / fps, 1000 * of.streams / fps, fps, cpu, others)
    return Measured(of, 0.0, 0, (one, one))


def test_a_rate_beside_other_work_says_what_the_setting_would_make_alone() -> None:
    # As it was met: one stream of two threads works half as much again for a picture, and got more of the two cores.
    two_threads = beside(setting("a", 2, 1), fps=180.0, cpu=6.0, others=0.8)
    two_streams = beside(setting("a", 1, 2), fps=160.0, cpu=4.0, others=1.3)
    ranking = ranked([two_threads, two_streams], THROUGHPUT)
    assert ranking.order[0] is two_streams
    assert two_streams.cost(THROUGHPUT) == pytest.approx(1000 * 4.0e-3 / (0.64 + 1.3))
    assert any("other work kept 1.3 cores busy" in note for note in ranking.notes)
    # Negative control: without the kernel's word the higher rate wins; and what is within the count's error changes nothing.
    for others in (0.0, 0.2):
        quiet = [
            replace(one, rounds=tuple(replace(turn, others=others) for turn in one.rounds)) for one in ranking.order
        ]
        assert ranked(quiet, THROUGHPUT).order[0].setting == two_threads.setting
        assert ranked(quiet, THROUGHPUT).notes == ()


def test_cores_that_a_setting_could_not_use_are_not_given_to_it() -> None:
    alone = beside(setting("a"), fps=100.0, cpu=8.0, others=1.2)
    assert alone.cost(THROUGHPUT) == pytest.approx(8.0)


def test_where_a_core_stood_idle_nobody_was_hindered() -> None:
    scales_worst = beside(setting("a", 8), fps=200.0, cpu=20.0, others=1.0)
    assert scales_worst.cost(THROUGHPUT) == pytest.approx(4.0)
    free = replace(scales_worst, rounds=tuple(replace(turn, idle=3.0) for turn in scales_worst.rounds))
    assert free.cost(THROUGHPUT) == pytest.approx(5.0)


def test_pinned_is_taken_among_equals_and_not_when_it_is_slower() -> None:
    free, pinned = setting("a"), setting("a", pin=True)
    assert ranked([measured(free, 10.0), measured(pinned, 10.1)], THROUGHPUT).order[0].setting.pin
    assert not ranked([measured(free, 10.0), measured(pinned, 10.9)], THROUGHPUT).order[0].setting.pin


def test_an_int8_that_is_no_faster_is_told() -> None:
    entries = [measured(setting("i", precision=INT8), 12.0), measured(setting("f"), 10.0)]
    ranking = ranked(entries, LATENCY)
    assert ranking.notes == ("i is slower here than f: 12 ms against 10 ms",)
    assert "1.20 times as good as i" in ranking.why
    quicker = [measured(setting("i", precision=INT8), 5.0), measured(setting("f"), 10.0)]
    assert ranked(quicker, LATENCY).notes == ()


def test_a_cameras_period_hides_no_slower_int8_and_makes_none_up() -> None:
    slower = [measured(setting("i", precision=INT8), 12.0, period=100.0), measured(setting("f"), 10.0, period=100.0)]
    assert ranked(slower, AGE).notes == ("i is slower here than f: 12 ms against 10 ms",)
    quicker = [measured(setting("i", precision=INT8), 8.0, period=100.0), measured(setting("f"), 10.0, period=100.0)]
    assert ranked(quicker, AGE).notes == ()


def test_what_was_found_survives_being_kept() -> None:
    entries = (
        measured(setting("a", 2), 10.0, 11.0, cpu=3.0, period=33.3),
        measured(setting("b", precision=INT8), 12.0),
    )
    found = Tuning(
        AGE, entries, refused={"c": "it crashed"}, skipped=(setting("a", 4),), budget_s=3.0, seconds=2.5
    ).in_order()
    again = Tuning.from_json(found.to_json())
    assert [one.setting for one in again.measured] == [one.setting for one in found.measured]
    assert (again.refused, again.skipped, again.seconds, again.why) == (
        found.refused,
        found.skipped,
        found.seconds,
        found.why,
    )
    assert again.budget_s == 3.0
    assert Tuning.from_json(again.to_json()) == again
    for broken in ({}, {**found.to_json(), "hint": "speed"}, {**found.to_json(), "settings": [{}]}):
        with pytest.raises((ValueError, TypeError, KeyError)):
            Tuning.from_json(broken)


def test_turns_that_differ_much_are_told_apart() -> None:
    assert Tuning(LATENCY, (measured(setting(), 10.0, 16.0),)).disturbed
    assert not Tuning(LATENCY, (measured(setting(), 10.0, 12.0),)).disturbed


@pytest.mark.parametrize(
    ("free_ms", "pinned"), [(0.97, True), (0.93, False)], ids=["a-little-dearer", "clearly-dearer"]
)
def test_pinned_is_taken_where_the_same_setting_unpinned_is_hardly_better(free_ms: float, pinned: bool) -> None:
    free, held = setting(threads=1, streams=2), setting(threads=1, streams=2, pin=True)
    taken = ranked([measured(free, *[free_ms] * 3), measured(held, *[1.0] * 3)], THROUGHPUT).order[0]
    assert taken.setting.pin is pinned


def test_pinned_is_no_reason_for_another_setting() -> None:
    free, held = setting(threads=2), setting(threads=1, streams=2, pin=True)
    taken = ranked([measured(free, *[0.482] * 3), measured(held, *[1.0] * 3)], THROUGHPUT).order[0]
    assert taken.setting == free
