"""MB that a day of a stated profile writes and sends: a part of a day is simulated, without waiting."""

from __future__ import annotations

from pathlib import Path

from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import Ack
from outbox_parts.reports import EPOCH_WALL_S, NODE, result, telemetry

MEGABYTE = 1e6
STEP_S = 0.2


def day(folder: Path, *, results_per_s: float, collected: bool, hours: float = 1.0) -> dict[str, float]:
    """Return MB a day by the outbox's own figures.

    Args:
        results_per_s: of one camera; telemetry comes each 10 s beside.
        collected: a collector acknowledges each report 0.2 s after it was sent; otherwise the broker is away.
    """
    clock = [0.0]
    # Room enough that nothing is dropped: dropping is not what is measured.
    settings = OutboxSettings(max_bytes=1 << 30)
    outbox = Outbox(folder / "outbox.db", NODE, settings, clock=lambda: clock[0], wall=lambda: EPOCH_WALL_S + clock[0])
    seconds, owed, sampled = hours * 3600, 0.0, -10.0
    sent_upto = 0
    while clock[0] < seconds:
        clock[0] += STEP_S
        owed += results_per_s * STEP_S
        while owed >= 1:
            owed -= 1
            outbox.put(ReportKind.RESULT, result(clock[0]))
        if clock[0] - sampled >= 10:
            sampled = clock[0]
            outbox.put(ReportKind.TELEMETRY, telemetry(clock[0]))
        if collected:
            # What was sent in the step before is stored by now.
            outbox.acknowledge(Ack(node=NODE, at=utc(0), epoch=outbox.epoch, upto=sent_upto))
            for message in outbox.take(100):
                outbox.done(message.seq)
            sent_upto = outbox.next_seq - 1
        outbox.step()
    figures = outbox.figures()
    on_disk = sum(file.stat().st_size for file in folder.iterdir())
    outbox.close()
    scale = 24 / hours / MEGABYTE
    return {
        "written_mb_day": round(figures["written_bytes_today"] * scale, 2),
        "sent_mb_day": round(figures["sent_bytes_today"] * scale, 1),
        "on_disk_mb": round(on_disk / MEGABYTE, 2),
    }
