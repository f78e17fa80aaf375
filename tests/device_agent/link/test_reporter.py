from __future__ import annotations

import json
import logging
import math
import random
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_agent.link.reporter import Reporter
from edgesdk_targets.messages import BundleName, Event, Message, ResultMessage, Sample, Telemetry, decode, encode
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text
from edgesdk_targets.topics import Node, Topic

NODE = Node("cam1")


def _reporter(queue: ReportQueue, **options: Any) -> Reporter:
    options.setdefault("snapshot", lambda: Sample(at=utc(0), fps=1.0))
    return Reporter(queue, NODE, **options)


def _frame(result: Result, seq: int = 0, camera: str = "door") -> FrameResult:
    return FrameResult(
        camera=camera,
        seq=seq,
        captured_at=0.0,
        wall_at=1_769_860_800.5,
        age_s=0.0421,
        preprocess_s=0.001,
        infer_s=0.04,
        result=result,
    )


def _said(queue: ReportQueue) -> list[Any]:
    taken: list[Message] = []
    for report in queue.take(10_000):
        topic = str(Topic(NODE, report.kind.channel))
        taken.append(decode(topic, report.body.payload, report.body.content_type))
    return taken


DETECTIONS = Detections(
    boxes=np.array([[1, 2, 3, 4]], np.float32),
    scores=np.array([0.5], np.float32),
    class_ids=np.array([1]),
    names=("a", "cat"),
)


@pytest.mark.parametrize(
    "result",
    [
        DETECTIONS,
        Classification(np.array([1, 0]), np.array([0.9, 0.1], np.float32), ("a", "b")),
        Text("abc", 0.75),
        Embedding(np.arange(4, dtype=np.float32)),
    ],
    ids=lambda r: r.kind,
)
def test_a_result_becomes_one_message(result: Result) -> None:
    queue = ReportQueue()
    _reporter(queue, bundle=BundleName(name="m"))(_frame(result, seq=12))
    (message,) = _said(queue)
    assert isinstance(message, ResultMessage)
    assert (message.camera, message.frame, message.seq, message.epoch) == ("door", 12, 1, queue.epoch)
    assert message.age_ms == 42.1
    assert message.latency_ms == {"preprocess": 1.0, "infer": 40.0}
    assert message.captured_at == utc(1_769_860_800.5)
    assert message.bundle.name == "m"
    assert message.result == json.loads(json.dumps(result.to_json()))


@pytest.mark.parametrize(
    "result",
    [
        DETECTIONS,
        replace(DETECTIONS, track_ids=np.array([7])),
        Classification(np.array([1, 0]), np.array([0.9, 0.1], np.float32), ("a", "b")),
        Regression(np.array([0.25, -1e9], np.float32), ("x",)),
        Chained(DETECTIONS, (Text("c", 0.5),)),
        Text('\u00e4 "b" \U0001f408', 0.1),
        Embedding(np.array([1e-7, math.nan, -2.5], np.float32)),
    ],
    ids=["detections", "tracked", "classification", "regression", "chain", "text", "embedding"],
)
def test_a_result_is_written_as_its_message_would_be(result: Result) -> None:
    queue = ReportQueue()
    bundle = BundleName(name="m", version="1.0.0", digest="sha256:ab")
    _reporter(queue, bundle=bundle, wall=lambda: 1_769_860_800.9996)(_frame(result, seq=12))
    message = ResultMessage.model_construct(
        node=str(NODE),
        at=utc(1_769_860_800.9996),
        epoch=queue.epoch,
        seq=1,
        clock_trusted=True,
        camera="door",
        frame=12,
        captured_at=utc(1_769_860_800.5),
        age_ms=42.1,
        latency_ms={"preprocess": 1.0, "infer": 40.0},
        bundle=bundle,
        result=result.to_json(),
    )
    assert queue.take(1)[0].body == encode(message)
    # None of its fields was forgotten here and there.
    assert message.model_fields_set | {"schema_id"} == set(ResultMessage.model_fields)


def test_numbers_that_json_does_not_have_become_null() -> None:
    queue = ReportQueue()
    broken = Detections(np.full((1, 4), np.nan, np.float32), np.array([np.inf], np.float32), np.array([0]))
    _reporter(queue)(_frame(broken))
    (message,) = _said(queue)
    assert message.result["objects"][0]["score"] is None
    assert message.result["objects"][0]["box"] == [None] * 4


def test_a_result_too_large_to_tell_stops_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    queue = ReportQueue()
    reporter = _reporter(queue)
    with caplog.at_level(logging.WARNING):
        for seq in range(3):
            reporter(_frame(Embedding(np.ones(60_000, np.float32) / 3), seq))
        reporter(_frame(Text("small", 1.0), 3))
    assert reporter.unreportable == 3
    assert len(caplog.records) == 1
    event, result = _said(queue)
    assert isinstance(event, Event)
    assert event.name == "result_unreportable"
    assert isinstance(result, ResultMessage)
    assert (event.seq, result.seq) == (1, 2)


def test_a_rate_thins_each_camera_evenly() -> None:
    queue, now = ReportQueue(), [0.0]
    reporter = _reporter(queue, max_results_per_s=10, clock=lambda: now[0])
    for seq in range(300):
        now[0] = seq / 30
        reporter(_frame(DETECTIONS, seq, "a"))
        reporter(_frame(DETECTIONS, seq, "b"))
    said = _said(queue)
    for camera in "ab":
        frames = [m.frame for m in said if m.camera == camera]
        assert 95 <= len(frames) <= 101
        assert frames == sorted(frames)
    assert reporter.thinned == 600 - len(said)


def test_without_a_rate_every_result_is_reported() -> None:
    queue = ReportQueue()
    reporter = _reporter(queue)
    for seq in range(50):
        reporter(_frame(DETECTIONS, seq))
    assert [m.frame for m in _said(queue)] == list(range(50))
    assert reporter.thinned == 0


def test_telemetry_is_sampled_until_the_end_with_a_last_sample() -> None:
    queue, seen = ReportQueue(), threading.Event()
    samples: list[int] = []

    def snapshot() -> Sample:
        samples.append(1)
        if len(samples) == 3:
            seen.set()
        return Sample(at=utc(0), processed=len(samples))

    reporter = _reporter(queue, snapshot=snapshot, interval_s=0.001)
    reporter.start()
    assert seen.wait(30)
    reporter.stop()
    reporter.stop()
    messages = _said(queue)
    assert all(isinstance(m, Telemetry) for m in messages)
    counts = [s.processed for m in messages for s in m.samples]
    assert counts == list(range(1, len(samples) + 1))


def test_samples_travel_together_and_the_rest_at_the_end() -> None:
    queue, seen = ReportQueue(), threading.Event()
    count = [0]

    def snapshot() -> Sample:
        count[0] += 1
        if count[0] == 7:
            seen.set()
        return Sample(at=utc(0), processed=count[0])

    reporter = _reporter(queue, snapshot=snapshot, interval_s=0.001, samples_per_message=3)
    reporter.start()
    assert seen.wait(30)
    reporter.stop()
    sizes = [len(m.samples) for m in _said(queue)]
    assert sum(sizes) == count[0]
    assert set(sizes[:-1]) == {3}


def test_a_sample_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    queue, seen = ReportQueue(), threading.Event()
    tries = [0]

    def snapshot() -> Sample:
        tries[0] += 1
        if tries[0] == 1:
            raise OSError("no sensor")
        seen.set()
        return Sample(at=utc(0))

    reporter = _reporter(queue, snapshot=snapshot, interval_s=0.001)
    reporter.start()
    assert seen.wait(30)
    reporter.stop()
    assert queue.counts().put["telemetry"] >= 1
    assert "no sensor" in caplog.text


def test_samples_too_many_for_a_message_travel_in_several() -> None:
    queue, dice = ReportQueue(), random.Random(7)
    noise = [{f"part.{dice.getrandbits(64):016x}": dice.getrandbits(40) for _ in range(60)} for _ in range(500)]
    samples = [Sample(at=utc(0), processed=number, counts=counts) for number, counts in enumerate(noise)]
    reporter = _reporter(queue, snapshot=lambda: samples.pop(0), samples_per_message=500)
    for _ in range(500):
        reporter._sample(final=False)
    messages = _said(queue)
    assert len(messages) > 1
    assert [sample.processed for message in messages for sample in message.samples] == list(range(500))
    assert reporter.unreportable == 0


def test_a_sample_too_large_to_tell_is_left_out_alone_and_told_once() -> None:
    queue, told = ReportQueue(), threading.Event()
    dice = random.Random(7)
    huge = {f"{dice.getrandbits(200):050x}": dice.getrandbits(50) for _ in range(12_000)}
    taken = [0]

    def snapshot() -> Sample:
        taken[0] += 1
        if taken[0] == 6:
            told.set()
        return Sample.model_construct(
            **{**Sample(at=utc(0), processed=taken[0]).__dict__, "counts": huge if taken[0] in (2, 3) else {}}
        )

    reporter = _reporter(queue, snapshot=snapshot, interval_s=0.001, samples_per_message=4)
    reporter.start()
    assert told.wait(30), "the thread goes on"
    reporter.stop()
    said = _said(queue)
    numbers = [sample.processed for m in said if isinstance(m, Telemetry) for sample in m.samples]
    assert numbers == [1, *range(4, taken[0] + 1)]
    assert [m.name for m in said if isinstance(m, Event)] == ["telemetry_unreportable"]
    assert reporter.unreportable == 2


def test_events_carry_what_they_are_given() -> None:
    queue = ReportQueue()
    _reporter(queue).event("camera_lost", "error", "gone", camera="door", data={"tries": 3})
    (event,) = _said(queue)
    assert (event.name, event.severity, event.camera, event.data) == ("camera_lost", "error", "door", {"tries": 3})
    assert queue.counts().put[ReportKind.EVENT.value] == 1


def test_a_bundle_can_be_exchanged() -> None:
    queue = ReportQueue()
    reporter = _reporter(queue, bundle=BundleName(version="1"))
    reporter(_frame(DETECTIONS))
    reporter.set_bundle(BundleName(version="2"))
    reporter(_frame(DETECTIONS))
    assert [m.bundle.version for m in _said(queue)] == ["1", "2"]
