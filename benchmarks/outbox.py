"""What the outbox costs: a put beside persist-queue's, and bytes written and sent in a day of a stated profile.

    python benchmarks/outbox.py [--json FILE]

Both are measured by turns in one process, on the same disk, with the same body. persist-queue commits each put; ours is in the page
cache when `put` returns and synced by the next commit, whose time is counted in.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_agent.presence import utc
from edgesdk_agent.report_queue import ReportKind
from edgesdk_targets.messages import Ack, Encoded, rfc3339

BODY = b'{"schema":"result/1",' + b"x" * 410 + b"}"
PUTS = 200
TURNS = 15
MEGABYTE = 1e6
DAY_S = 86_400


def put_cost(folder: Path) -> dict[str, float]:
    """Return microseconds a put, the median of the turns, and the ratio."""
    from persistqueue import SQLiteAckQueue

    outbox = Outbox(folder / "ours" / "outbox.db", "local.cam1")
    theirs = SQLiteAckQueue(str(folder / "theirs"), auto_commit=True)
    mine: list[float] = []
    rivals: list[float] = []
    for _ in range(TURNS):
        mine.append(
            _timed(lambda: outbox.put(ReportKind.RESULT, lambda _epoch, _seq: Encoded(BODY)), after=outbox.commit)
        )
        rivals.append(_timed(lambda: theirs.put(BODY)))
    outbox.close()
    theirs.close()
    ours_us, theirs_us = statistics.median(mine), statistics.median(rivals)
    return {
        "outbox_us": round(ours_us, 1),
        "persist_queue_us": round(theirs_us, 1),
        "ratio": round(ours_us / theirs_us, 4),
    }


def _timed(put: Callable[[], object], after: Callable[[], object] = lambda: None) -> float:
    began = time.perf_counter()
    for _ in range(PUTS):
        put()
    after()
    return (time.perf_counter() - began) / PUTS * 1e6


def day(folder: Path, *, results_per_s: float, collected: bool, hours: float = 1.0) -> dict[str, float]:
    """Simulate a part of a day without waiting, and return MB a day.

    Args:
        results_per_s: of one camera; telemetry comes each 10 s beside.
        collected: a collector acknowledges each report 0.2 s after it was sent; otherwise the broker is away.
    """
    clock = [0.0]
    # Room enough that nothing is dropped: dropping is not what is measured.
    settings = OutboxSettings(max_bytes=1 << 30)
    outbox = Outbox(
        folder / "outbox.db", "local.cam1", settings, clock=lambda: clock[0], wall=lambda: 1_800_000_000 + clock[0]
    )
    step_s, seconds, owed, sampled = 0.2, hours * 3600, 0.0, -10.0
    sent_upto = 0
    while clock[0] < seconds:
        clock[0] += step_s
        owed += results_per_s * step_s
        while owed >= 1:
            owed -= 1
            outbox.put(ReportKind.RESULT, _result(clock[0]))
        if clock[0] - sampled >= 10:
            sampled = clock[0]
            outbox.put(ReportKind.TELEMETRY, _telemetry(clock[0]))
        if collected:
            # What was sent in the step before is stored by now.
            outbox.acknowledge(_ack(outbox, sent_upto))
            for message in outbox.take(100):
                outbox.done(message.seq)
            sent_upto = outbox.next_seq - 1
        outbox.step()
    figures = outbox.figures()
    written, sent = figures["written_bytes_today"], figures["sent_bytes_today"]
    on_disk = sum(file.stat().st_size for file in folder.iterdir())
    outbox.close()
    scale = 24 / hours / MEGABYTE
    return {
        "written_mb_day": round(written * scale, 1),
        "sent_mb_day": round(sent * scale, 1),
        "on_disk_mb": round(on_disk / MEGABYTE, 2),
    }


def _ack(outbox: Outbox, upto: int) -> Ack:
    return Ack(node="local.cam1", at=utc(0), epoch=outbox.epoch, upto=upto)


def _result(at: float) -> Callable[[str, int], Encoded]:
    boxes = ",".join(
        f'{{"class_id":0,"label":"person","score":0.{(int(at * 7) + n) % 90 + 10},'
        f'"box":[{at % 500 + n:.1f},30.0,96.2,{at % 300:.1f}]}}'
        for n in range(2)
    )
    stamp = rfc3339(utc(1_800_000_000 + at))
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"result/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"camera":"door",'
            f'"frame":{seq},'
            f'"captured_at":"{stamp}","age_ms":{at % 9 + 31:.3f},"latency_ms":{{"preprocess":1.9,"infer":{at % 7 + 31:.3f}}},'
            '"bundle":{"name":"fastestdet","version":"1.0.0","digest":"sha256:0c1d"},'
            f'"result":{{"kind":"detections","objects":[{boxes}]}}}}'
        ).encode()
    )


def _telemetry(at: float) -> Callable[[str, int], Encoded]:
    stamp = rfc3339(utc(1_800_000_000 + at))
    return lambda epoch, seq: Encoded(
        (
            f'{{"schema":"tele/1","node":"local.cam1","at":"{stamp}","epoch":"{epoch}","seq":{seq},"samples":[{{"at":"{stamp}",'
            f'"window_s":10.0,"fps":9.98,"captured":{int(at * 10)},"processed":{int(at * 10)},"dropped":{{}},'
            '"age_ms":{"p50":39.0,"p95":52.4,"p99":71.8},"latency_ms":{"infer":{"p50":31.0,"p95":33.2,"p99":40.9}},'
            '"queued":0,"lost":{},"cpu_percent":81.0,"memory_bytes":191889408,"temperature_c":61.2}]}'
        ).encode()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, object] = {"put": put_cost(folder)}
        for rate in (1.0, 10.0):
            for collected in (True, False):
                place = folder / f"{rate}-{collected}"
                label = f"{rate:g} results/s, telemetry each 10 s, {'collected' if collected else 'broker away'}"
                figures[label] = day(place, results_per_s=rate, collected=collected)
    for label, values in figures.items():
        print(f"{label}: {values}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
