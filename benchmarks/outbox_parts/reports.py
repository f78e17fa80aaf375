"""Reports as an agent writes them, made without one: a result with two boxes, and a sample of telemetry.

Their numbers are random, each report's by the time of it: scores, corners and times have as many digits as the agent writes
(no zeros at their end), and nothing that one report says can be guessed from the one before. So they pack worse than those of a
camera whose objects stand still.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from edgesdk_agent.link.presence import utc
from edgesdk_targets.messages import Encoded, rfc3339

NODE = "local.cam1"
EPOCH_WALL_S = 1_800_000_000.0
_PERCENTILES = (("p50", 1.0), ("p95", 1.3), ("p99", 1.8))


def result(at: float, wall: float = EPOCH_WALL_S) -> Callable[[str, int], Encoded]:
    """Return what builds a result of some 530 bytes; `at`, seconds, is also the seed of its numbers."""
    dice = random.Random(round(at * 1e3))
    boxes = ",".join(
        f'{{"class_id":0,"label":"person","score":{round(dice.uniform(0.5, 0.99), 4)},'
        f'"box":[{",".join(str(round(dice.uniform(0, 640), 2)) for _ in range(4))}]}}'
        for _ in range(2)
    )
    age, preprocess, infer = dice.gauss(39, 5), dice.gauss(1.9, 0.2), dice.gauss(31, 2)
    stamp, captured = rfc3339(utc(wall + at)), rfc3339(utc(wall + at - age / 1e3))
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"result/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"camera":"door",'
            f'"frame":{seq},'
            f'"captured_at":"{captured}","age_ms":{round(age, 3)},'
            f'"latency_ms":{{"preprocess":{round(preprocess, 3)},"infer":{round(infer, 3)}}},'
            '"bundle":{"name":"fastestdet","version":"1.0.0","digest":"sha256:0c1d"},'
            f'"result":{{"kind":"detections","objects":[{boxes}]}}}}'
        ).encode()
    )


def telemetry(at: float, wall: float = EPOCH_WALL_S) -> Callable[[str, int], Encoded]:
    """Return what builds telemetry of one sample; `at`, seconds, is also the seed of its numbers."""
    dice, stamp = random.Random(round(at * 1e3)), rfc3339(utc(wall + at))
    age, infer = (
        ",".join(f'"{name}":{round(dice.gauss(middle * factor, middle / 10), 3)}' for name, factor in _PERCENTILES)
        for middle in (39, 31)
    )
    cpu, memory, heat = dice.gauss(81, 3), 191_889_408 + dice.randrange(500) * 4096, dice.gauss(61, 1)
    frames, fps = int(at * 10), dice.gauss(9.98, 0.02)
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"tele/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"samples":[{{"at":"{stamp}",'
            f'"window_s":10.0,"fps":{round(fps, 2)},"captured":{frames},"processed":{frames},"dropped":{{}},'
            f'"age_ms":{{{age}}},"latency_ms":{{"infer":{{{infer}}}}},'
            f'"queued":0,"lost":{{}},"cpu_percent":{round(cpu, 1)},"memory_bytes":{memory},"temperature_c":{round(heat, 1)}}}]}}'
        ).encode()
    )
