"""The way of reports into the store: what is committed stays, whatever dies next.

A commit writes rows and what is settled by them together, so the watermark can never run ahead of the rows. One
collector writes a file; into PostgreSQL, any number may.
"""

from __future__ import annotations

import json
import logging
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store import address, arrivals, declared_gaps, event_rows, presence, quarantine
from edgesdk.fleet.store.address import Address
from edgesdk.fleet.store.batch import Reading, Stream
from edgesdk.fleet.store.claim import Claim
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.engine import is_sqlite, open_store
from edgesdk.fleet.store.failures import told_apart
from edgesdk.fleet.store.foreign_words import ForeignWords
from edgesdk.fleet.store.lines import Lines
from edgesdk.fleet.store.media import MediaFolder, add_snapshot
from edgesdk.fleet.store.now import NowNotes, lock
from edgesdk.fleet.store.record_rows import Placed, RecordRows, rows_for
from edgesdk.fleet.store.revoked import without_revoked
from edgesdk.fleet.store.tables import settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit did.

    Attributes:
        coverage: of every stream that it touched, as it is now.
        repeated: streams that show that they did not hear the last word: they sent what was settled, or are born.
        stored: records that are new, by stream.
        duplicates, refused: records that were there; messages put into quarantine.
        lost: reports newly declared lost.
    """

    coverage: Mapping[Stream, Coverage]
    repeated: frozenset[Stream]
    stored: Mapping[Stream, int]
    duplicates: int
    refused: int
    lost: int


class Ingest:
    """A store that reports are written to; used by one thread at a time.

    Args:
        where: a file or a URL; made where there is none.
        media: where pictures are kept; beside the file unless given.
        wall: seconds since 1970.

    Raises:
        InputError: it cannot be used, is of another version, or another collector writes the file.
    """

    def __init__(
        self, where: str | Path | Address, *, media: Path | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self.place = address.parse(where)
        self.media = MediaFolder(media) if media is not None else MediaFolder.beside(self.place)
        self._wall = wall
        self._claim = Claim(self.place.path) if self.place.path is not None else None
        self._lines = Lines()
        self._now = NowNotes()
        self._foreign = ForeignWords()
        try:
            self.engine = open_store(self.place)
        except BaseException:
            self._release()
            raise
        self._connection: Connection | None = None
        self._rows: RecordRows | None = None
        self.recorder_id = self._own_id()
        for path in filter(None, (self.place.path, self.media.root)):
            _warn_if_others_may_read(path)

    @property
    def shared(self) -> bool:
        """Whether other collectors may write to the same store."""
        return self.place.path is None

    @property
    def connection(self) -> Connection:
        """The one connection that everything is written on."""
        if self._connection is None or self._connection.closed:
            self._connection = self.engine.connect().execution_options(edgesdk_writes=True)
        return self._connection

    def coverage(self, stream: Stream) -> Coverage:
        """Return what is settled of a stream; of an unknown one, nothing."""
        with self._transaction() as connection:
            return self._lines.coverage(connection, stream)

    def commit(self, reading: Reading, *, doubting: bool = False) -> Committed:
        """Write everything that was read, on the disk when this returns.

        Args:
            doubting: look up of each report whether it is stored; for one that was Unstorable because it is.

        Raises:
            StoreBusy: nothing of it is written; try again.
            StoreFailed: nothing of it is written, and never will be.
            Unstorable: the same, for something that is in it.
        """
        received_ms = self._now_ms()
        with self._transaction() as connection:
            rows = self._rows = self._rows or rows_for(connection)
            streams = _streams(reading)
            reading, turned_away = without_revoked(connection, reading, {stream.node for stream in streams})
            lines = self._lines.of(connection, _streams(reading) if turned_away else streams, received_ms)
            before = {stream: line.coverage for stream, line in lines.items()}
            arrived = arrivals.sort_out(connection, reading, lines, doubting=doubting)
            new = rows.add_records(connection, arrived.new, received_ms)
            rows.add_samples(connection, [(p.line.node_id, s) for p in new for s in p.record.samples])
            event_rows.add(connection, new, received_ms)
            lost = declared_gaps.add(connection, reading.gaps, lines)
            stored = self._note(new, received_ms)
            for refusal in reading.refusals:
                if refusal.stream is not None:
                    self._now.heard(lines[refusal.stream].node_id, received_ms)
            said = [(lines[one.stream].node_id, one) for one in reading.presences]
            lock(connection, self._now.due(received_ms).union(node for node, _ in said))
            presence.apply(connection, said, received_ms)
            for picture in reading.pictures:
                add_snapshot(connection, self.media, lines[picture.stream].node_id, picture, received_ms)
            quarantine.add(connection, reading.refusals, received_ms)
            self._foreign.add(connection, reading.refusals, received_ms)
            coverage = arrivals.settled(arrived, reading, lines)
            changed = {
                stream: now
                for stream, now in coverage.items()
                if now.upto != (was := before[stream]).upto or now.ahead != was.ahead
            }
            rows.write_coverage(
                connection,
                [(now.upto, json.dumps(now.ahead) if now.ahead else "[]", lines[s].id) for s, now in changed.items()],
            )
            self._now.write_due(connection, received_ms)
        for stream, now in changed.items():
            lines[stream].coverage = now
        self._lines.remember(lines)
        self._foreign.committed()
        return Committed(
            before | coverage,
            arrived.repeated,
            stored,
            len(reading.records) - sum(stored.values()),
            len(reading.refusals) + turned_away,
            lost,
        )

    @property
    def unwritten(self) -> bool:
        """Whether something of how devices are is gathered, and due when nothing else comes."""
        return self._now.waiting

    def write_now(self) -> None:
        """Write what is due of how devices are.

        Raises:
            StoreBusy, StoreFailed: as of a commit; what was gathered comes again.
        """
        with self._transaction() as connection:
            self._now.write_due(connection, self._now_ms())

    def close(self) -> None:
        """Close the store. May be called twice."""
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.close()

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)

    def _note(self, new: Iterable[Placed], received_ms: int) -> dict[Stream, int]:
        """Note what devices said just now; return how many new records there are of each stream."""
        stored: dict[Stream, int] = {}
        for stream, placed in groupby(new, attrgetter("record.stream")):
            records = list(placed)
            stored[stream] = stored.get(stream, 0) + len(records)
            said = [one.record for one in records if one.record.live or one.record.samples]
            if said:
                self._now.heard(records[0].line.node_id, received_ms, said)
        return stored

    def _own_id(self) -> str:
        """Return the name under which the broker knows who writes this store, the same after each start."""
        with self._transaction() as connection:
            make = sqlite.insert if is_sqlite(connection) else postgresql.insert
            new = {"key": "recorder_id", "value": secrets.token_hex(6), "updated_ms": self._now_ms()}
            connection.execute(make(settings).values(new).on_conflict_do_nothing())
            return str(connection.execute(select(settings.c.value).where(settings.c.key == "recorder_id")).scalar_one())

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with told_apart(self.place):
            try:
                connection = self.connection
                with connection.begin():
                    yield connection
            except BaseException:
                # What is remembered may hold numbers of rows that are not there now.
                self._lines.forget()
                self._now.forget()
                self._rows = None
                if self._connection is not None and self._connection.invalidated:
                    self._connection.close()
                raise


def _warn_if_others_may_read(path: Path) -> None:
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            log.warning("%s can be read by others on this machine: chmod %o %s", path, mode & 0o700, path)


def _streams(reading: Reading) -> Mapping[Stream, None]:
    streams = dict.fromkeys(r.stream for r in reading.records)
    streams |= dict.fromkeys(g.stream for g in reading.gaps)
    streams |= dict.fromkeys(p.stream for p in reading.presences)
    streams |= dict.fromkeys(r.stream for r in reading.refusals if r.stream is not None)
    streams |= dict.fromkeys(p.stream for p in reading.pictures)
    return streams
