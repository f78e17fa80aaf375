from __future__ import annotations

import threading

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.pipeline.policy import POLICIES, Policy, lanes_wanted, slots_wanted
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

pytestmark = pytest.mark.alone


class Uneven(Script):
    """Every third inference takes much longer than the others, so that later ones are finished before it."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most_at_once = self.began_in_all = 0
        self._count = threading.Lock()

    def work(self, seconds: float) -> None:
        if not threading.current_thread().name.startswith("edgesdk-infer"):
            return
        with self._count:
            self.began_in_all += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            slow = self.began_in_all % 3 == 1
        super().work(0.006 if slow else 0.0005)
        with self._count:
            self.at_once -= 1


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_results_come_in_order_however_many_lanes_there_are(policy: Policy, lanes: int) -> None:
    script, sink = Uneven(), Sink()
    with make(PacedCamera(ScriptedCamera(80), 1000), script, sink, policy, lanes=lanes) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == sorted(set(sink.seqs))
    assert_accounts(pipeline.stats())
    if policy == "every_frame":
        assert sink.seqs == list(range(80))
    if lanes == 3:
        # Negative control of the order: the inferences themselves were not in order.
        inferred = [seq for _, seq, _ in script.inferred]
        assert inferred != sorted(inferred)


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_as_many_are_inferred_at_once_as_there_are_lanes_and_no_more(lanes: int) -> None:
    script, sink = Script(gated=True), Sink()
    assert script.gate is not None
    with make(ScriptedCamera(20), script, sink, "every_frame", lanes=lanes) as pipeline:
        for _ in range(lanes):
            assert script.began.acquire(timeout=PATIENCE_S)
        assert not script.began.acquire(timeout=0.05), "more inferences at a time than lanes"
        script.gate.release(100)
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == list(range(20))


def test_a_lane_does_not_wait_for_another_until_a_bounded_number_of_results_is_parked() -> None:
    sink, held, beyond = Sink(), threading.Event(), threading.Event()

    class FirstIsSlow(Script):
        def work(self, seconds: float) -> None:
            if threading.current_thread().name.startswith("edgesdk-infer") and not self.inferred and not held.is_set():
                held.set()
                assert beyond.wait(PATIENCE_S)

    script = FirstIsSlow()
    with make(ScriptedCamera(30), script, sink, "every_frame", lanes=2) as pipeline:
        # Two lanes and two spare places: the one that is held, and three that wait for it.
        wait_until(lambda: len(script.inferred) == 3, "the other lane to go on")
        threading.Event().wait(0.02)
        assert len(script.inferred) == 3
        assert not sink.results
        beyond.set()
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == list(range(30))


@pytest.mark.parametrize("lanes", [2, 3])
def test_a_failing_lane_ends_the_pipeline_cleanly(lanes: int) -> None:
    script, sink = Uneven(), Sink()
    script.fail_infer[7] = SessionFailed("The runtime failed.")
    pipeline = make(ScriptedCamera(None), script, sink, "every_frame", lanes=lanes).start()
    with pytest.raises(SessionFailed, match="The runtime failed"):
        pipeline.wait(PATIENCE_S)
    with pytest.raises(SessionFailed):
        pipeline.stop(PATIENCE_S)
    stats = pipeline.stats()
    assert 7 not in sink.seqs
    assert sink.seqs == sorted(set(sink.seqs))
    assert stats.dropped["failed"] == 1
    assert stats.processed == len(sink.results)
    assert_accounts(stats)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 2)])
def test_a_swap_changes_the_number_of_lanes_and_loses_nothing(before: int, after: int) -> None:
    old, new, sink = Uneven(), Uneven(), Sink()
    with make(ScriptedCamera(None), old, sink, "every_frame", lanes=before) as pipeline:
        wait_until(lambda: len(old.inferred) > 10, "results of the old model")
        pipeline.swap_slots(new.slots(slots_wanted(("every_frame",), after)), PATIENCE_S, lanes=after)
        wait_until(lambda: len(new.inferred) > 30, "results of the new model")
        stats = pipeline.stop(PATIENCE_S)
    assert sink.seqs == list(range(stats.captured))
    assert new.most_at_once <= after
    assert_accounts(stats)


def test_a_frame_without_a_result_of_its_own_is_counted_and_holds_nothing_up() -> None:
    script, sink = Script(windowed=4), Sink()
    with make(ScriptedCamera(40), script, sink, "every_frame", lanes=1) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert sink.seqs == list(range(3, 40, 4))
    assert (stats.processed, stats.dropped) == (10, {"windowed": 30})


@pytest.mark.parametrize(
    ("policies", "of_the_model", "wanted"),
    [
        (("every_frame",), 2, 3),
        (("every_frame", "every_frame"), 4, 5),
        (("every_frame",), 1, 1),
        (("freshest",), 2, 2),
        (("every_frame", "freshest"), 2, 2),
    ],
)
def test_an_input_waits_in_the_runtime_only_where_nothing_is_lost(
    policies: tuple[Policy, ...], of_the_model: int, wanted: int
) -> None:
    assert lanes_wanted(policies, of_the_model) == wanted


def test_a_pipeline_without_a_lane_is_refused() -> None:
    with pytest.raises(InputError, match="at least one lane"):
        make(ScriptedCamera(1), Script(), Sink(), lanes=0)
