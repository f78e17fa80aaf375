from __future__ import annotations

from dataclasses import replace

from edgesdk_agent.cameras.camera import CameraCounts
from edgesdk_agent.cameras.supervision.health import CameraHealth
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_agent.meter import Meters
from edgesdk_agent.telemetry_sample import telemetry_sample
from edgesdk_agent.vitals import Vitals
from edgesdk_targets.messages import Encoded

VITALS = Vitals(1.0, 50.0, None, 1000, None, None, 45.5, None)


def test_rates_are_of_the_interval_and_counts_of_the_whole_run() -> None:
    now = [0.0]
    meters, queue = Meters(["a"], clock=lambda: now[0]), ReportQueue(max_items=1)
    for span in range(2):
        for _ in range(5):
            meters["a"].captured()
            meters["a"].processed(now[0], 0.050, 0.002, 0.040)
        meters["a"].captured()
        meters["a"].dropped("replaced_before_preprocess")
        now[0] += 10
        if span == 0:
            meters.interval()
    for _ in range(3):
        queue.put(ReportKind.RESULT, lambda *_: Encoded(b""))
    sample = telemetry_sample(
        at=100.0, interval=meters.interval(), totals=meters.totals(), vitals=VITALS, queue=queue.counts()
    )
    assert (sample.window_s, sample.fps) == (10, 0.5)
    assert (sample.captured, sample.processed) == (12, 10)
    assert sample.dropped == {"replaced_before_preprocess": 2}
    assert sample.age_ms.p50 is not None
    assert 49 < sample.age_ms.p50 < 51
    assert set(sample.latency_ms) == {"preprocess", "infer"}
    assert (sample.queued, sample.lost) == (1, {"result": 2})
    assert (sample.temperature_c, sample.memory_bytes, sample.disk_free_bytes) == (45.5, 1000, None)


def test_an_interval_without_a_frame_has_no_percentiles() -> None:
    meters = Meters(["a"], clock=lambda: 0.0)
    sample = telemetry_sample(
        at=0.0, interval=meters.interval(), totals=meters.totals(), vitals=VITALS, queue=ReportQueue().counts()
    )
    assert sample.age_ms.p95 is None
    assert sample.fps == 0


def test_each_camera_has_its_state_and_its_own_counts() -> None:
    meters = Meters(["a", "b"], clock=lambda: 0.0)
    source = CameraCounts(stalls=2, reconnects=1, corrupt=3, resized=4, size_alarms=6, rate_changes=5)
    counted = replace(meters.totals().cameras["a"], source=source)
    totals = replace(meters.totals(), cameras={"a": counted, "b": meters.totals().cameras["b"]})
    sample = telemetry_sample(
        at=0.0,
        interval=meters.interval(),
        totals=totals,
        vitals=VITALS,
        queue=ReportQueue().counts(),
        cameras={"a": CameraHealth("degraded", "slow", "")},
    )
    one = sample.cameras["a"]
    assert (one.state, one.cause, one.stalls, one.reconnects, one.corrupt) == ("degraded", "slow", 2, 1, 3)
    assert (one.resized, one.size_alarms, one.rate_changes) == (4, 6, 5)
    assert (sample.cameras["b"].state, sample.cameras["b"].stalls) == ("", 0)
