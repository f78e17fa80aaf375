"""A collector as docs/decisions/0010 wants it, in memory, and a device whose time is the test's: no broker, no waiting."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from edgesdk_agent.link.report_queue import QueuedReport, ReportKind
from edgesdk_agent.outbox.number_ranges import NumberRanges
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import (
    COLUMNS,
    Ack,
    Encoded,
    Event,
    GapCause,
    Message,
    Segment,
    SeqRange,
    decode,
    gap_of,
)
from edgesdk_targets.topics import Node, Topic

NODE = "local.cam1"
AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
EPOCH_WALL_S = 1_800_000_000.0


@cache
def report(kind: ReportKind, text: str = "x"):  # type: ignore[no-untyped-def]
    """Return what builds a report of a kind; its JSON is written by hand, as thousands are made."""
    head = f'"node":"{NODE}","at":"2026-01-31T12:00:00.000Z"'
    bodies = {
        ReportKind.EVENT: f'{{"schema":"event/1",{head},"epoch":"%s","seq":%d,"name":"made","message":"{text}"}}',
        ReportKind.RESULT: f'{{"schema":"result/1",{head},"epoch":"%s","seq":%d,"camera":"door","frame":1,'
        f'"captured_at":"2026-01-31T12:00:00.000Z","age_ms":1.5,"result":{{"kind":"text","text":"{text}"}}}}',
        ReportKind.TELEMETRY: f'{{"schema":"tele/1",{head},"epoch":"%s","seq":%d,'
        '"samples":[{"at":"2026-01-31T12:00:00.000Z","fps":9.5}]}',
    }
    body = bodies[kind]
    return lambda epoch, seq: Encoded((body % (epoch, seq)).encode())


class Collector:
    """Stores what it reads and acknowledges it; checks that a number never stands for two reports."""

    def __init__(self, *, selective: bool = True, takes: tuple[str, ...] = (COLUMNS,)) -> None:
        self.selective = selective
        self.takes = takes
        self.content_types: Counter[str] = Counter()
        self.stored: dict[str, dict[int, Message]] = {}
        self.gone: dict[str, NumberRanges] = {}
        self.lost: Counter[str] = Counter()
        self.causes: Counter[GapCause] = Counter()
        self.duplicates = 0

    def read(self, message: QueuedReport) -> Message:
        """Read one message as it would come from the broker."""
        topic = str(Topic(Node.parse(NODE), message.channel))
        self.content_types[message.body.content_type] += 1
        said = decode(topic, message.body.payload, message.body.content_type)
        for record in said.records if isinstance(said, Segment) else (said,):
            self._store(record)
        return said

    def _store(self, record: Message) -> None:
        epoch, seq = record.epoch, record.seq  # type: ignore[attr-defined]
        mine = self.stored.setdefault(epoch, {})
        if seq in mine:
            self.duplicates += 1
            assert mine[seq] == record, "one number, two reports"
            return
        mine[seq] = record
        gap = gap_of(record) if isinstance(record, Event) else None
        for part in gap.ranges if gap else ():
            self.gone.setdefault(epoch, NumberRanges()).add(part.first, part.last)
            self.causes[part.cause] += part.last - part.first + 1
            self.lost.update(part.reports)

    def present(self, epoch: str) -> NumberRanges:
        """Return the numbers that need not come any more."""
        numbers = NumberRanges(self.gone.get(epoch, ()))
        for seq in self.stored.get(epoch, ()):
            numbers.add(seq, seq)
        return numbers

    def missing(self, epoch: str) -> tuple[tuple[int, int], ...]:
        """Return what is missing below the highest number that was seen."""
        present = self.present(epoch)
        highest = max((last for _, last in present), default=0)
        return tuple(present.absent(1, highest)[:256]) if highest else ()

    def ack(self, epoch: str, want: tuple[tuple[int, int], ...] = ()) -> Ack:
        """Say what is stored."""
        ranges = list(self.present(epoch))
        upto = ranges[0][1] if ranges and ranges[0][0] == 1 else 0
        have = [(a, b) for a, b in ranges if a > upto][-256:] if self.selective else []
        told, wanted = _seq_ranges(have), _seq_ranges(want)
        return Ack(node=NODE, at=AT, epoch=epoch, upto=upto, have=told, want=wanted, takes=self.takes)


class Device:
    """An outbox with a clock of its own, that can be killed and lose its power."""

    def __init__(self, folder: Path, settings: OutboxSettings | None = None) -> None:
        self.now = 0.0
        self.boot = 1
        self.settings = settings or OutboxSettings()
        self._folder, self._lives = folder, 0
        self.path = folder / "0" / "outbox.db"
        self.box = self._open()

    def _open(self) -> Outbox:
        return Outbox(
            self.path,
            NODE,
            self.settings,
            clock=lambda: self.now,
            wall=lambda: EPOCH_WALL_S + self.now,
            boot=str(self.boot),
        )

    def wait(self, seconds: float) -> None:
        """Let time pass, as the keeper does it."""
        self.now += seconds
        self.box.step()

    def restart(self) -> None:
        """Stop well and start again."""
        self.box.close()
        self.box = self._open()

    def kill(self, *, power: bool = False) -> None:
        """End without a word; with `power` what no sync has written is gone."""
        self._lives += 1
        old, self.path = self.path, self._folder / str(self._lives) / "outbox.db"
        self.path.parent.mkdir()
        for file in old.parent.iterdir():
            if not (power and file.suffix == ".recent"):
                shutil.copy(file, self.path.parent / file.name)
        dead, self.box = self.box, None  # type: ignore[assignment]
        assert dead._store is not None
        dead._store.close()
        dead._recent.close()
        self.boot += power
        self.box = self._open()

    def send(self, collector: Collector | None, count: int = 1000) -> list[QueuedReport]:
        """Send what may be sent; the broker takes it, and a collector, if there is one, reads it."""
        sent = list(self.box.take(count))
        for message in sent:
            self.box.done(message.seq)
            if collector is not None:
                collector.read(message)
        return sent

    def drain(self, collector: Collector, limit: int = 500) -> None:
        """Let everything arrive."""
        self.box.give_back()
        for turn in range(limit):
            self.send(collector)
            # After a while a collector asks for what is missing.
            self.box.acknowledge(
                collector.ack(self.box.epoch, want=collector.missing(self.box.epoch) if turn > 20 else ())
            )
            self.wait(1.0)
            if not self.box.pending and not len(self.box._ledger) and not self.box._gone:
                return
        raise AssertionError(f"not empty: {self.box.figures()}, {list(self.box._kept)[:20]}")


def _seq_ranges(ranges) -> tuple[SeqRange, ...]:  # type: ignore[no-untyped-def]
    return tuple(SeqRange(first=a, last=b) for a, b in ranges)
