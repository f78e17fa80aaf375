"""Reports as an agent writes them, made without one: a result with two boxes, and a sample of telemetry."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk_agent.link.presence import utc
from edgesdk_targets.messages import Encoded, rfc3339

NODE = "local.cam1"
EPOCH_WALL_S = 1_800_000_000.0


def result(at: float, wall: float = EPOCH_WALL_S) -> Callable[[str, int], Encoded]:
    """Return what builds a result of some 470 bytes; its numbers change with `at`, seconds."""
    boxes = ",".join(
        f'{{"class_id":0,"label":"person","score":0.{(int(at * 7) + n) % 90 + 10},'
        f'"box":[{at % 500 + n:.1f},30.0,96.2,{at % 300:.1f}]}}'
        for n in range(2)
    )
    stamp = rfc3339(utc(wall + at))
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"result/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"camera":"door",'
            f'"frame":{seq},'
            f'"captured_at":"{stamp}","age_ms":{at % 9 + 31:.3f},"latency_ms":{{"preprocess":1.9,"infer":{at % 7 + 31:.3f}}},'
            '"bundle":{"name":"fastestdet","version":"1.0.0","digest":"sha256:0c1d"},'
            f'"result":{{"kind":"detections","objects":[{boxes}]}}}}'
        ).encode()
    )


def telemetry(at: float, wall: float = EPOCH_WALL_S) -> Callable[[str, int], Encoded]:
    """Return what builds telemetry of one sample."""
    stamp = rfc3339(utc(wall + at))
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"tele/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"samples":[{{"at":"{stamp}",'
            f'"window_s":10.0,"fps":9.98,"captured":{int(at * 10)},"processed":{int(at * 10)},"dropped":{{}},'
            '"age_ms":{"p50":39.0,"p95":52.4,"p99":71.8},"latency_ms":{"infer":{"p50":31.0,"p95":33.2,"p99":40.9}},'
            '"queued":0,"lost":{},"cpu_percent":81.0,"memory_bytes":191889408,"temperature_c":61.2}]}'
        ).encode()
    )
