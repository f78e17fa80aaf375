"""What a trial makes of results and memory: rules as values, and a real detector that does harm after a while."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

from edgesdk_agent.cameras.conveyor import ConveyorCamera
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.update.label_absence import absent_label
from edgesdk_agent.update.memory_growth import growth
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.result_features import features_of
from edgesdk_agent.update.result_profile import MOST_FEATURES, RESULTS, profile_of, unlike
from edgesdk_agent.update.result_tally import ResultTally, TalliedDelivery
from edgesdk_agent.update.trial_gate import Figures, GateLimits, Verdict, after_doubts, judged
from edgesdk_agent.update.trial_watch import Baseline, RunningAgent, TrialWatch
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Text
from edgesdk_testkit import bad_models

PATIENCE_S = 60.0
MB = 1 << 20


def detections(*classes: int, names: tuple[str, ...] = ("ant", "bee", "cat"), score: float = 0.9) -> Detections:
    count = len(classes)
    return Detections(np.zeros((count, 4), np.float32), np.full(count, score, np.float32), np.asarray(classes), names)


class TestFeatures:
    def test_name_what_was_found_by_its_label(self) -> None:
        assert features_of(detections(0, 2, 2)) == {
            "label ant": 1.0, "label cat": 2.0, "score": pytest.approx(0.9)
        }  # fmt: skip
        assert features_of(detections()) == {}
        swapped = features_of(detections(0, 2, 2, names=("cat", "bee", "ant")))
        assert (swapped["label cat"], swapped["label ant"]) == (1.0, 2.0)

    def test_are_there_for_every_kind_of_result(self) -> None:
        best = Classification(np.array([1, 0]), np.array([0.8, 0.2], np.float32), ("ant", "bee"))
        assert features_of(best) == {"label bee": 1.0, "score": pytest.approx(0.8)}
        assert features_of(Text("AB1", 0.5)) == {"characters": 3.0, "score": 0.5}
        assert features_of(Embedding(np.array([3, 4], np.float32))) == {"length": 5.0}
        assert features_of(Regression(np.array([2.0]), ("size",))) == {"value size": 2.0}
        chained = features_of(Chained(detections(0, 1), (best, None)))
        assert (chained["label ant"], chained["then label bee"]) == (1.0, 1.0)


def stretches(*means: float, name: str = "label ant") -> dict[str, Any]:
    return profile_of([{RESULTS: 1.0, **({name: mean} if mean else {})} for mean in means])


class TestProfiles:
    BEFORE = stretches(1.0, 1.2, 0.8, 1.1, 0.9, 1.0)

    @pytest.mark.parametrize(
        ("now", "says"),
        [
            (stretches(0, 0, 0), "label ant: 0.00 a result, 1.00 before"),
            (stretches(2.9, 3.1, 3.0), "label ant: 3.00 a result, 1.00 before"),
            (stretches(0.9, 1.2, 1.1), ""),
            (stretches(0.6, 0.7, 0.8), ""),  # fewer, and not half
            (stretches(0, 0), ""),  # too little is known
        ],
        ids=["dead", "three times", "as before", "a little less", "too early"],
    )
    def test_differ_by_half_and_by_more_than_they_vary(self, now: Any, says: str) -> None:
        assert unlike(self.BEFORE, now, 4.0) == says

    def test_what_varied_as_much_before_is_no_difference(self) -> None:
        assert unlike(stretches(0, 3.0, 0, 3.0, 0), stretches(0, 0, 0), 4.0) == ""

    def test_another_label_is_one(self) -> None:
        assert "label bee: 1.00 a result, 0.00 before" in unlike(
            self.BEFORE, {**self.BEFORE, **stretches(1.0, 1.0, 1.0, name="label bee")}, 4.0
        )

    def test_how_sure_a_model_was_where_it_saw_nothing_is_not_known(self) -> None:
        sure = profile_of([{"label ant": 1.0, "score": 0.9}, {}, {"label ant": 1.0, "score": 0.9}, {"score": 0.9}])
        assert (sure["score"].mean, sure["score"].stretches) == (pytest.approx(0.9), 3)
        assert "score: 0.40" in unlike(sure, profile_of([{"label ant": 0.7, "score": 0.4}] * 4), 4.0)

    def test_of_too_many_labels_the_frequent_ones_are_kept_and_the_rest_is_not_known(self) -> None:
        seen = {RESULTS: 1.0, "score": 0.9, **{f"label {number:02}": 1.0 + number for number in range(70)}}
        full = profile_of([seen] * 4)
        assert len(full) == MOST_FEATURES
        assert {RESULTS, "score"} < full.keys()
        assert [name for name in seen if name not in full] == [f"label {number:02}" for number in range(8)]
        # Others are cut off now, as those of before come more often: nobody says that they are new, or gone.
        rare = {f"label {number:02}": 100.0 for number in range(8)}
        now = profile_of([{**seen, **rare}] * 4)
        assert now.keys() != full.keys()
        assert (unlike(full, now, 4.0), unlike(now, full, 4.0)) == ("", "")
        # What is in both is still compared, and so is a label that is gone from one that is not full.
        assert unlike(full, profile_of([{**seen, "label 69": 20.0}] * 4), 4.0).startswith("label 69: 20.00")
        few = {name: mean for name, mean in seen.items() if name < "label 50"}
        assert "0.00 a result" in unlike(full, profile_of([few] * 4), 4.0)

    @settings(max_examples=200)
    @given(st.integers(0, 10_000), st.floats(0.2, 5.0))
    def test_the_same_scene_is_rarely_called_another(self, seed: int, mean: float) -> None:
        """Two hundred scenes whose objects come at random: not one in each hundred may be mistaken."""
        chance = np.random.default_rng(seed)
        before = stretches(*(chance.poisson(mean * 20, 30) / 20))
        now = stretches(*(chance.poisson(mean * 20, 6) / 20))
        assert unlike(before, now, 6.0) == ""


def comes_and_goes(chance: np.random.Generator, count: int, share: float, stays: float) -> list[float]:
    """Return the means of a label that is there for a while and then not.

    Args:
        share: of the stretches that it is in; stays: how probably the next stretch is as this one, but for chance.
    """
    there, means = bool(chance.random() < share), []
    for _ in range(count):
        if chance.random() > stays:
            there = bool(chance.random() < share)
        means.append(float(there) * (0.2 + chance.random()))
    return means


Scene = Mapping[str, list[float]]


def scene(chance: np.random.Generator, count: int, share: float, stays: float) -> dict[str, list[float]]:
    return {f"label {number}": comes_and_goes(chance, count, share, stays) for number in range(10)}


def profile_after(shown: Scene, count: int) -> Any:
    rows = zip(*(means[:count] for means in shown.values()), strict=True)
    return profile_of([{RESULTS: 1.0, **dict(zip(shown, row, strict=True))} for row in rows])


def confirms_at(before: Scene, now: Scene) -> int | None:
    """Return after how many stretches a trial that soaks for six waits for no label; None where it does to its end."""
    profile = profile_after(before, 30)
    counts = range(6, len(now["label 0"]) + 1)
    return next((count for count in counts if not absent_label(profile, profile_after(now, count))), None)


class TestAbsence:
    BEFORE = stretches(1.0, 0.8, 0, 1.1, 0.9, 1.0, 0, 1.2, 0.7, 1.0, 0.9, 1.1)

    @pytest.mark.parametrize(
        ("now", "waits"),
        [
            ((1.0, 0, 0.8, 0.9), False),
            ((1.0, 0.9, 0.8, 0), False),
            ((1.0, 0.9, 0, 0, 0), True),
            ((0, 0, 0, 0), True),
            ((0.01,) * 8, True),
            ((1.0, 0.9, 0, 0, 0, 0, 0, 0.8), False),
        ],
        ids=["as before", "as long as before", "longer", "gone", "mistakes now and then", "back again"],
    )
    def test_is_waited_for_where_it_lasts_longer_than_ever(self, now: tuple[float, ...], waits: bool) -> None:
        assert bool(absent_label(self.BEFORE, stretches(*now))) is waits

    def test_of_a_rare_label_or_of_too_few_stretches_says_nothing(self) -> None:
        assert absent_label(stretches(*([0.0] * 10 + [1.0])), stretches(*[0.0] * 9)) == ""
        assert absent_label(stretches(1.0, 1.0), stretches(*[0.0] * 9)) == ""

    def test_of_what_was_recorded_by_an_agent_of_before_says_nothing(self) -> None:
        old = {name: one.model_copy(update={"present": 0.0, "longest": 0}) for name, one in self.BEFORE.items()}
        assert absent_label(old, stretches(*[0.0] * 9)) == ""

    @pytest.mark.parametrize(("stays", "most"), [(0.0, 0.01), (0.5, 0.01), (0.8, 0.2)])
    def test_healthy_scenes_are_confirmed_before_their_time_is_over(self, stays: float, most: float) -> None:
        """Ten labels each, thirty stretches before, and sixty as a trial of ten minutes has."""
        chance = np.random.default_rng(3)
        shares = [0.3, 0.6, 0.9] * 25
        found = [confirms_at(scene(chance, 30, one, stays), scene(chance, 60, one, stays)) for one in shares]
        assert found.count(None) <= most * len(shares)

    @pytest.mark.parametrize(("share", "stays"), [(0.6, 0.0), (0.9, 0.0), (0.9, 0.5)])
    def test_a_common_label_that_dies_soon_is_never_confirmed(self, share: float, stays: float) -> None:
        chance, confirmed = np.random.default_rng(4), 0
        for _ in range(20):
            now = scene(chance, 60, share, stays)
            now["label 9"][1:] = [0.0] * 59
            confirmed += confirms_at(scene(chance, 30, share, stays), now) is not None
        assert confirmed <= 2


class TestMemory:
    @pytest.mark.parametrize(
        ("lows", "grows"),
        [
            ([100, 150, 190, 230, 270, 310], True),
            ([100, 300, 310, 311, 312, 313], False),  # it settles
            ([100, 150, 190, 230, 230, 310], True),  # one stretch stood still
            ([100, 150, 190, 230, 229, 310], True),  # or gave a little back
            ([100, 150, 250, 249, 251, 248], False),  # full, and moving
            ([100, 150, 200, 250, 250, 250], False),
            ([100, 300, 200, 300, 200, 300], False),
            ([100, 150, 190], False),  # too early to say
        ],
        ids=["leaks", "settles", "flat once", "gives back once", "moves", "fills", "up and down", "early"],
    )
    def test_grows_where_most_stretches_have_more_than_those_before(self, lows: list[int], grows: bool) -> None:
        assert bool(growth([low * MB for low in lows], 32.0)) is grows


GOOD: dict[str, Any] = {
    "up_s": 61.0, "frames": {"gate": 100}, "age_p95_ms": {"gate": 40.0}, "before_p95_ms": {"gate": 35.0},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({}, False),
        ({"starved": frozenset({"gate"})}, True),
        ({"starved": frozenset({"gate"}), "frames": {"gate": 0}}, False),  # the first result may take long
        ({"age_p95_ms": {"gate": 400.0}}, True),
        ({"age_p95_ms": {"gate": 400.0}, "before_p95_ms": {}}, False),  # a slow camera, for all that is known
        ({"unlike": {"gate": "label ant"}}, True),
        ({"growth": "its memory grows"}, True),
        ({"broker_reached": False}, False),
    ],
    ids=["well", "hangs", "begins", "slow", "slow before", "unlike", "leaks", "broker"],
)
def test_only_what_the_release_can_be_the_reason_for_is_a_doubt(change: Mapping[str, Any], doubt: bool) -> None:
    limits = GateLimits(budget_ms=100.0)
    verdict = judged(Figures(**{**GOOD, **change}), limits)
    assert verdict.doubt is doubt
    assert after_doubts(verdict, limits.soak_s - 1, 600.0, limits) == verdict
    lasted = after_doubts(verdict, limits.soak_s, 600.0, limits)
    assert lasted == (Verdict(unfit=verdict.waits_for) if doubt else verdict)


def test_what_waits_for_one_camera_hides_no_doubt_of_another() -> None:
    figures = {**GOOD, "frames": {"door": 3, "gate": 100}, "age_p95_ms": {"gate": 40.0}}
    assert judged(Figures(**figures), GateLimits()).waits_for == "camera door: 3 of 30 results"
    doubted = judged(Figures(**{**figures, "unlike": {"gate": "label ant"}}), GateLimits())
    assert (doubted.doubt, "camera gate" in doubted.waits_for) == (True, True)
    late = judged(Figures(**{**figures, "broker_reached": False, "growth": "its memory grows"}), GateLimits())
    assert late == Verdict(waits_for="its memory grows", doubt=True)


def test_what_cannot_be_compared_must_do_well_for_longer() -> None:
    figures = {**GOOD, "uncompared": "what camera gate saw before is not known"}
    said = judged(Figures(**figures), GateLimits()).waits_for
    assert said == "59 s more, as what camera gate saw before is not known"
    assert judged(Figures(**{**figures, "up_s": 120.0}), GateLimits()).healthy
    assert judged(Figures(**GOOD), GateLimits()).healthy


@pytest.fixture(scope="module")
def bad(
    tmp_path_factory: pytest.TempPathFactory, digits_bundle: Path
) -> Callable[[Callable[[], list[Any]], int], Path]:
    folder = tmp_path_factory.mktemp("bad")

    def make(harm: Callable[[], list[Any]], after: int) -> Path:
        path = folder / f"{after}.edgebundle"
        with open_bundle(digits_bundle) as bundle:
            write_bundle(path, *bad_models.with_clock(bundle, harm, after))
        return path

    return make


# So many results are several stretches, however slow the machine.
LIMITS = GateLimits(soak_s=2.0, least_frames=30, slower=1e6, growth_mb=8.0)
# For the one that is slow; a stalled machine makes a good one slow as well.
STRICT = replace(LIMITS, slower=10.0, least_frames=5)
# For the one that leaks: of few stretches one that stalls hides what the others show.
LONGER = replace(LIMITS, soak_s=5.0, least_frames=100)


@contextmanager
def running(bundle: Path, limits: GateLimits) -> Iterator[tuple[TrialWatch, Release]]:
    """Run a bundle on one still picture of the belt, and yield what watches it."""
    tally = ResultTally()
    with load_model(bundle, target="generic-onnx") as model:
        camera = _Still()
        pipeline = Pipeline(
            model, {"belt": camera}, on_result=TalliedDelivery(tally, InlineDelivery(_take, name="none"))
        )
        with pipeline:
            agent = RunningAgent(
                pipeline.stats, pipeline.span().read, frozenset, lambda: model.digest, None, results=tally
            )
            release = Release(id=model.digest, name="digits", version="1.0.0", number=1, size=1)
            yield TrialWatch(agent, limits), release


class _Still(ConveyorCamera):
    """The belt stands still: always the same digits."""

    def __init__(self) -> None:
        super().__init__(fps=20)
        draw = self._scene.draw
        self._scene.draw = lambda _index, picture: draw(0, picture)  # type: ignore[method-assign]


def _take(_result: FrameResult) -> None:
    """Nobody wants it."""


def _watched(bundle: Path, before: Baseline, limits: GateLimits = LIMITS) -> tuple[Verdict, Baseline]:
    """Watch a run until there is a verdict."""
    until = time.monotonic() + PATIENCE_S
    with running(bundle, limits) as (watch, release):
        while True:
            verdict = watch.verdict(release, before)
            if verdict.healthy or verdict.unfit:
                return verdict, watch.baseline()
            assert time.monotonic() < until, verdict
            time.sleep(0.1)


def _nothing() -> list[Any]:
    return [bad_models._node("Mul", ["late", "zero"], ["harm"])]


@pytest.fixture(scope="module")
def before(bad: Callable[[Callable[[], list[Any]], int], Path]) -> Baseline:
    """What a good one shows, which is found healthy itself."""
    verdict, shown = _watched(bad(_nothing, 1000), Baseline({}, {}))
    assert verdict.healthy
    assert shown.results["belt"]["label 9"].mean >= 1
    return shown


@pytest.mark.parametrize(
    ("harm", "after", "says"),
    [
        (_nothing, 8, ""),
        (bad_models.misses(10, 9), 1, "label 9: "),
        (bad_models.leaks, 6, "its memory grows"),
        (bad_models.is_slow, 9, r"ms are allowed|no results any more"),
    ],
    ids=["good", "one class dead", "leaks", "slow"],
)
def test_a_real_detector_that_does_harm_after_a_while_is_found_unfit(
    bad: Callable[[Callable[[], list[Any]], int], Path], before: Baseline, harm: Any, after: int, says: str
) -> None:
    verdict, _ = _watched(
        bad(harm, after), before, {bad_models.is_slow: STRICT, bad_models.leaks: LONGER}.get(harm, LIMITS)
    )
    assert verdict.healthy is (not says)
    assert re.search(says, verdict.unfit)
