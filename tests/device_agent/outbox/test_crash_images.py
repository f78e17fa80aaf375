"""The power fails at every moment, and leaves every disk that it could: the outbox opens, and lost no more than it says."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox import database
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_testkit.collector_model import Collector, Device, report
from edgesdk_testkit.required import needed

needed("apsw")

from edgesdk_testkit.disk_log import DiskLog, recording  # noqa: E402  (it imports apsw)

SETTINGS = OutboxSettings(max_bytes=2500, reserve=60, bulk_sync_interval_s=2.5)


# Of each second: between events there is time for the longer interval of the others.
_KINDS = [ReportKind.TELEMETRY, *[ReportKind.RESULT] * 3, ReportKind.EVENT]


@dataclass(frozen=True)
class Now:
    """A remark: the time, what was put until then with its time, and what a collector has acknowledged or was told is gone."""

    at: float
    put: dict[int, tuple[ReportKind, float]]
    settled: frozenset[int]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> DiskLog:
    """A day in short: reports, commits, acknowledgements, a full budget, packing, and the log written back."""
    log = DiskLog()
    patch = pytest.MonkeyPatch()
    patch.setattr(database, "connect", recording(log))
    patch.setattr(database, "_LOG_BYTES", 24 << 10)
    put: dict[int, tuple[ReportKind, float]] = {}
    settled: set[int] = set()
    try:
        device, collector = Device(tmp_path_factory.mktemp("day"), SETTINGS), Collector()

        def remark() -> None:
            log.entries.append(Now(device.now, dict(put), frozenset(settled)))

        remark()
        for second in range(12):
            for _ in range(4):
                kind = _KINDS[second % len(_KINDS)]
                put[device.box.put(kind, report(kind))] = kind, device.now
                remark()
                device.now += 0.1
            device.wait(0.5)
            remark()
            if second in (4, 8):
                device.send(collector, 30)
                # From here on they may be deleted.
                settled.update(seq for a, b in collector.present(device.box.epoch) for seq in range(a, b + 1))
                remark()
                device.box.acknowledge(collector.ack(device.box.epoch))
        assert device.box.counts().dropped["telemetry"], "the day has a full budget in it"
    finally:
        patch.undo()
    return log


def _check(remarks: list[Now], files: dict[str, bytes], folder: Path) -> None:
    """Open the disk as the next start of the system does."""
    (folder / "0").mkdir()
    for name, content in files.items():
        (folder / "0" / name).write_bytes(content)
    device = Device.__new__(Device)
    device.now, device.boot, device.settings = 0.0, 2, OutboxSettings(reserve=60)
    device._folder, device._lives, device.path = folder, 0, folder / "0" / "outbox.db"
    box = device._open()
    try:
        assert box._trouble is None, box._trouble
        assert box.figures()["on_disk"]
        now = remarks[-1] if remarks else Now(0.0, {}, frozenset())
        gone = box._ledger.numbers
        for seq, (kind, at) in now.put.items():
            if seq in box._kept or seq in now.settled:
                continue
            assert seq in gone, f"report {seq} is neither kept nor declared"
            parts = [g for g in box._ledger.gaps if g.first <= seq <= g.last]
            if parts[0].cause.value == "crash":
                assert now.at - at <= SETTINGS.safe_after_s(kind), (
                    f"{kind.value} {seq} was {now.at - at} s old and is lost"
                )
        assert box.next_seq > max(now.put, default=0), "a number would be given twice"
        box.put(ReportKind.EVENT, report(ReportKind.EVENT))
        assert box.commit()
    finally:
        box.close()


def _disk() -> Path | None:
    """Return where files are kept in memory, if there is such a place: thousands of disks are opened, and each syncs."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


def _failures(log: DiskLog, *, stop_at: int = 1 << 30) -> tuple[int, list[str]]:
    images, failures = 0, list[str]()
    for remarks, files in log.images():
        images += 1
        with tempfile.TemporaryDirectory(dir=_disk()) as folder:
            try:
                _check(remarks, files, Path(folder))
            except AssertionError as wrong:
                failures.append(str(wrong).splitlines()[0])
        if len(failures) >= stop_at:
            break
    return images, failures


def test_every_disk_that_a_power_cut_leaves_opens_and_has_lost_no_more_than_it_says(log: DiskLog) -> None:
    images, failures = _failures(log)
    assert not failures, failures[:5]
    assert images > 500


@pytest.mark.parametrize("end", ["-wal", ".db"])
def test_the_control_without_a_sync_loses_or_breaks(log: DiskLog, end: str) -> None:
    _, failures = _failures(log.without_syncs_of(end), stop_at=1)
    assert failures


def test_the_control_that_does_not_declare_is_found(log: DiskLog, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesdk_agent.outbox.ledger import GapLedger

    monkeypatch.setattr(GapLedger, "add", lambda *_: None)
    _, failures = _failures(log, stop_at=1)
    assert "neither kept nor declared" in failures[0]


def test_the_recent_file_may_hold_anything_after_a_power_cut(tmp_path: Path) -> None:
    """It is not synced: cut anywhere, garbled anywhere, or an old one that came back, it adds whole reports or nothing."""
    source = Device(tmp_path, OutboxSettings(reserve=60))
    for _ in range(4):
        source.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    old = (tmp_path / "0" / "outbox.db.next.recent").read_bytes()
    source.box.commit()
    for _ in range(3):
        source.box.put(ReportKind.RESULT, report(ReportKind.RESULT))
    whole = (tmp_path / "0" / "outbox.db.recent").read_bytes()
    files = {p.name: p.read_bytes() for p in (tmp_path / "0").iterdir()}
    put = dict.fromkeys(range(1, 8), (ReportKind.RESULT, 0.0))
    contents = [whole[:at] for at in range(0, len(whole), 37)]
    contents += [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(0, len(whole), 61)]
    contents += [old, old + whole, bytes(len(whole)), b"\xff" * 5000]
    assert all((old, whole, not files["outbox.db.next.recent"])), "the two files take turns"
    for other in (b"", old):
        for content in contents if not other else [whole, b""]:
            with tempfile.TemporaryDirectory(dir=_disk()) as folder:
                found = {**files, "outbox.db.recent": content, "outbox.db.next.recent": other}
                _check([Now(0.0, put, frozenset())], found, Path(folder))
