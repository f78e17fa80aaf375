"""User code in the pipeline's way: filters before and after inference, several who take results, and how hooks are run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.delivery import queued
from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.each import DeliverToEach
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.hook_settings import HookSettings, Isolation, hook_delivery
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Regression, Text
from edgesdk_testkit import hooks, stages
from edgesdk_testkit.pipelines import Sink
from edgesdk_testkit.slots import PATIENCE_S, wait_until

PICTURE = np.zeros((4, 6, 3), np.uint8)


def result(seq: int) -> FrameResult:
    return FrameResult("door", seq, 1.0, 2.0, 0.1, 0.01, 0.02, Text(str(seq), 1.0))


def test_a_frame_filter_lets_through_changes_and_leaves_out() -> None:
    def seen(frame: Frame) -> Any:
        frame.image[0] = 9
        return (frame.image, frame.image[:2], None)[frame.seq]

    filtered = FrameFilter(seen)
    got = [filtered(Frame("d", n, 0, 0, PICTURE)) for n in range(3)]
    assert [one if isinstance(one, str) else one.shape for one in got] == [(4, 6, 3), (2, 6, 3), "filtered"]
    assert filtered.counts() == DeliveryCounts(delivered=2, filtered=1)


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        (np.zeros((4, 6), np.uint8), "[4, 6] uint8"),
        (np.zeros((4, 6, 3), np.float32), "[4, 6, 3] float32"),
        (np.zeros((0, 6, 3), np.uint8), "[0, 6, 3] uint8"),
        (True, "a bool"),
    ],
)
def test_a_frame_filter_that_returns_no_picture_fails_and_says_so_once(returned: object, shown: str) -> None:
    news: list[HookNews] = []
    filtered = FrameFilter(lambda _: returned, on_news=news.append)  # type: ignore[arg-type,return-value]
    assert [filtered(Frame("d", n, 0, 0, PICTURE)) for n in range(3)] == ["filter_failed"] * 3
    assert filtered.counts() == DeliveryCounts(failed=3)
    assert [n.message for n in news] == [f"at frame 0: it returned {shown}, not a picture (H, W, 3) uint8."]


def test_a_frame_filter_that_raises_lets_nothing_through() -> None:
    news: list[HookNews] = []
    filtered = FrameFilter(lambda _: 1 / 0, on_news=news.append)  # type: ignore[arg-type,return-value]
    assert filtered(Frame("d", 0, 0, 0, PICTURE)) == "filter_failed"
    assert [(n.hook, n.state, n.message) for n in news] == [
        ("on_frame", "failing", "ZeroDivisionError: division by zero")
    ]


def test_a_result_filter_changes_keeps_back_and_fails_closed() -> None:
    took: list[tuple[int, str]] = []
    inner = InlineDelivery(lambda r: took.append((r.seq, r.result.text)))  # type: ignore[union-attr]

    def changed(frame: FrameResult) -> Any:
        if frame.seq == 3:
            raise ValueError
        return (replace(frame, result=Text("new", 1.0)), None, "text")[frame.seq]

    delivery = FilteredDelivery(changed, inner)
    delivery.start()
    for seq in range(4):
        delivery(result(seq))
    delivery.close(1.0)
    assert took == [(0, "new")]
    assert delivery.passed() == DeliveryCounts(delivered=1, filtered=1, failed=2)
    assert delivery.counts() == DeliveryCounts(delivered=1, filtered=1, failed=2)
    assert delivery.counts().given == 4


def test_each_gets_every_result_also_beside_one_that_fails() -> None:
    first: list[int] = []
    last: list[int] = []

    def fails(frame: FrameResult) -> None:
        raise ValueError

    deliveries = [InlineDelivery(lambda r: first.append(r.seq)), InlineDelivery(fails)]
    each = DeliverToEach([*deliveries, ThreadDelivery(lambda r: last.append(r.seq))])
    each.start()
    for seq in range(5):
        each(result(seq))
    each.close(10.0)
    assert first == last == list(range(5))
    assert each.counts() == DeliveryCounts(delivered=10, failed=5)


def test_when_one_cannot_start_those_before_it_are_closed() -> None:
    thread = ThreadDelivery(lambda _: None)
    each = DeliverToEach([thread, ProcessDelivery("edgesdk_testkit.absent:hook")])
    with pytest.raises(InputError, match=r"no module edgesdk_testkit\.absent"):
        each.start()
    thread._thread.join(10.0)
    assert not thread._thread.is_alive()


@pytest.mark.parametrize(("isolate", "kind"), [("thread", ThreadDelivery), ("inline", InlineDelivery)])
def test_a_hook_is_run_as_it_is_set(isolate: Isolation, kind: type, tmp_path: Path) -> None:
    (tmp_path / f"mine_{isolate}.py").write_text("took = []\non_result = took.append\n")
    settings = HookSettings(isolate, folder=tmp_path)
    delivery = hook_delivery(f"mine_{isolate}:on_result", settings)
    assert isinstance(delivery, kind)
    delivery.start()
    delivery(result(1))
    delivery.close(10.0)
    assert delivery.counts() == DeliveryCounts(delivered=1)


def test_a_hook_in_a_process_is_set_by_name_or_function() -> None:
    for hook in ("edgesdk_testkit.hooks:note", hooks.note):
        delivery = hook_delivery(hook)
        assert isinstance(delivery, ProcessDelivery)
        delivery.close(0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: hook_delivery("absent_module:f", HookSettings("inline")),
        lambda: hook_delivery("edgesdk_testkit.hooks:absent", HookSettings("thread")),
        lambda: HookSettings("jail"),  # type: ignore[arg-type]
        lambda: HookSettings(when_full="auto"),  # type: ignore[arg-type]
        lambda: HookSettings(queue=0),
        lambda: HookSettings(queue=10_001),
        lambda: HookSettings(timeout_s=0.0),
        lambda: HookSettings(timeout_s=3600.1),
        lambda: HookSettings(timeout_s=float("nan")),
        lambda: hook_delivery("no colon", HookSettings("process")),
    ],
)
def test_what_cannot_be_run_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize(
    ("call", "said", "advice"),
    [
        ("absent_module:f", "There is no module absent_module for the hook", "hooks_path"),
        ("users_hooks:absent", "The module users_hooks has no absent.", "It has other."),
        (
            "users_broken:f",
            "users_broken of the hook users_broken:f cannot be imported: ModuleNotFoundError",
            "--debug",
        ),
        ("users_exit:f", "cannot be imported: SystemExit: 7", "--debug"),
    ],
)
@pytest.mark.parametrize("isolate", ["process", "inline"])
def test_a_hook_misspelt_is_one_line_that_says_what_is_wrong(
    call: str, said: str, advice: str, isolate: Isolation, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users_hooks.py").write_text("from json import dumps\ndef other(frame): ...\ndef _hidden(): ...\n")
    (tmp_path / "users_broken.py").write_text("import absent_module\n")
    (tmp_path / "users_exit.py").write_text("raise SystemExit(7)\n")
    with pytest.raises(InputError) as refused:
        hook_delivery(call, HookSettings(isolate, folder=tmp_path)).start()
    assert said in refused.value.message
    assert advice in refused.value.hint
    assert "\n" not in refused.value.message
    assert capfd.readouterr().err == ""


def test_a_stage_is_told_as_a_stage(caplog: pytest.LogCaptureFixture) -> None:
    news: list[HookNews] = []
    FrameFilter(lambda _: "no picture", name="mine", on_news=news.append)(Frame("d", 0, 0, 0, PICTURE))  # type: ignore[arg-type,return-value]
    assert caplog.messages == ["stage mine is failing: at frame 0: it returned a str, not a picture (H, W, 3) uint8."]
    assert [one.kind for one in news] == ["stage"]


def test_the_time_of_a_hook_behind_a_stage_is_not_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    patience_s = 0.5
    # So long the pipeline waits for the stage, whose calls may each take longer.
    monkeypatch.setattr(queued, "_ENDING_S", patience_s - USUAL_TIMEOUT_S)
    held, go, sink = threading.Event(), threading.Event(), Sink()

    def hook(result: FrameResult) -> None:
        sink(result)
        held.set()
        assert go.wait(PATIENCE_S)

    taker = ProcessFilteredDelivery(stages.doubled, InlineDelivery(hook), queue=1)
    taker.start()
    answers = [
        FrameResult("gate", n, 1.0, 2.0, 0.1, 0.01, 0.02, Regression(np.array([n], np.float32))) for n in range(3)
    ]
    taker(answers[0])
    assert held.wait(PATIENCE_S)
    lane = threading.Thread(target=lambda: [taker(one) for one in answers[1:]])
    lane.start()
    wait_until(lambda: taker.passed() == DeliveryCounts(delivered=1, waiting=2), "two that wait, one of them for room")
    time.sleep(1.5 * patience_s)
    assert taker.passed() == DeliveryCounts(delivered=1, waiting=2)
    go.set()
    lane.join(PATIENCE_S)
    taker.close(PATIENCE_S)
    assert (sink.seqs, taker.counts()) == ([0, 1, 2], DeliveryCounts(delivered=3))
