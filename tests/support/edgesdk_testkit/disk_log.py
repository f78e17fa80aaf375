"""What SQLite asks of the disk, operation by operation, and every disk that a power cut could leave of it.

The model: a sync makes all earlier operations on its file durable. Of later ones any may be on the disk and any not, in any
order, and a write may be there in its first or second half only. A file exists from its first sync on. SQLite's own
operations are recorded through a virtual file system of apsw, below its pager: nothing is assumed of what a commit writes.
Not modelled: sectors that are damaged though nobody wrote to them, and a disk that lies about a sync.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

_ALL_SUBSETS_UP_TO = 4
_SAMPLES = 6


@dataclass(frozen=True)
class Operation:
    """One operation; `file` is the name alone, `at` the offset of a write or the size of a truncation."""

    what: str
    file: str
    at: int = 0
    data: bytes = b""


@dataclass
class DiskLog:
    """Operations in order, with the test's own remarks between them."""

    entries: list[Any] = field(default_factory=list)

    def images(self) -> Iterator[tuple[list[Any], dict[str, bytes]]]:
        """Yield the remarks made so far and the files, for each cut and each disk that it could leave; none twice."""
        seen: set[tuple[int, int]] = set()
        for cut in range(len(self.entries) + 1):
            if not isinstance(self.entries[cut] if cut < len(self.entries) else None, Operation | None):
                # The disk stays as it is, and the next remark asks for more than this one.
                continue
            past = self.entries[:cut]
            remarks = [entry for entry in past if not isinstance(entry, Operation)]
            for files in _disks([entry for entry in past if isinstance(entry, Operation)], seed=cut):
                key = (len(remarks), hash(tuple(sorted(files.items()))))
                if key not in seen:
                    seen.add(key)
                    yield remarks, files

    def without_syncs_of(self, end: str) -> DiskLog:
        """Return the same without the syncs of the files whose name ends so: the control."""
        return DiskLog(
            [e for e in self.entries if not (isinstance(e, Operation) and e.what == "sync" and e.file.endswith(end))]
        )


def _disks(operations: list[Operation], seed: int) -> Iterator[dict[str, bytes]]:
    """Yield what may be on the disk after these."""
    by_file: dict[str, tuple[list[Operation], list[Operation]]] = {}
    for operation in operations:
        durable, loose = by_file.setdefault(operation.file, ([], []))
        if operation.what in ("sync", "delete"):
            durable += [*loose, operation]
            loose.clear()
        else:
            loose.append(operation)
    loose_all = [piece for _, loose in by_file.values() for operation in loose for piece in _halves(operation)]
    for kept in _subsets(len(loose_all), random.Random(seed)):
        chosen = {id(loose_all[index]) for index in kept}
        files = {}
        pieces = iter(loose_all)
        for name, (durable, loose) in by_file.items():
            present = [p for operation in loose for p in (next(pieces) for _ in _halves(operation)) if id(p) in chosen]
            if (durable and durable[-1].what != "delete") or present:
                files[name] = _written([*durable, *present])
        yield files


def _halves(operation: Operation) -> list[Operation]:
    middle = len(operation.data) // 2
    if operation.what != "write" or middle < 256:
        return [operation]
    return [
        Operation("write", operation.file, operation.at, operation.data[:middle]),
        Operation("write", operation.file, operation.at + middle, operation.data[middle:]),
    ]


def _subsets(count: int, dice: random.Random) -> Iterator[tuple[int, ...]]:
    if count <= _ALL_SUBSETS_UP_TO:
        for size in range(count + 1):
            yield from itertools.combinations(range(count), size)
        return
    yield ()
    yield tuple(range(count))
    yield tuple(range(count - 1))
    yield tuple(range(1, count))
    for _ in range(_SAMPLES):
        yield tuple(index for index in range(count) if dice.random() < 0.5)


def _written(operations: list[Operation]) -> bytes:
    content = bytearray()
    for operation in operations:
        if operation.what == "write":
            content.extend(bytes(max(0, operation.at + len(operation.data) - len(content))))
            content[operation.at : operation.at + len(operation.data)] = operation.data
        elif operation.what == "truncate":
            del content[operation.at :]
        elif operation.what == "delete":
            content.clear()
    return bytes(content)


class _File(apsw.VFSFile):
    def __init__(self, inherit: str, filename: Any, flags: list[int], log: DiskLog) -> None:
        super().__init__(inherit, filename, flags)
        self._log = log
        self._name = Path(filename if isinstance(filename, str) else filename.filename()).name

    def xWrite(self, data: bytes, offset: int) -> None:
        self._log.entries.append(Operation("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._log.entries.append(Operation("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._log.entries.append(Operation("sync", self._name))
        super().xSync(flags)


class _RecordingVfs(apsw.VFS):
    def __init__(self, name: str, log: DiskLog) -> None:
        super().__init__(name, "")
        self._log = log

    def xDelete(self, filename: str, syncdir: bool) -> None:
        # SQLite asks for the folder to be synced where it matters; elsewhere the older state is a smaller worry.
        self._log.entries.append(Operation("delete", Path(filename).name))
        super().xDelete(filename, syncdir)

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File("", name, flags, self._log)


class _Cursor:
    """As much of sqlite3's cursor as the outbox uses."""

    def __init__(self, connection: apsw.Connection, cursor: Any) -> None:
        self._cursor = cursor
        self.lastrowid = connection.last_insert_rowid()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()


class _Connection:
    """As much of sqlite3's connection as the outbox uses."""

    def __init__(self, path: str, vfs: str) -> None:
        self._db = apsw.Connection(path, vfs=vfs)

    def execute(self, sql: str, values: Any = ()) -> _Cursor:
        return _Cursor(self._db, self._db.execute(sql, values))

    def executemany(self, sql: str, rows: Any) -> None:
        self._db.executemany(sql, rows)

    def executescript(self, sql: str) -> None:
        self._db.execute(sql)

    def close(self) -> None:
        self._db.close()


def recording(log: DiskLog) -> Callable[[Path], Any]:
    """Return what connects like sqlite3 and writes down every operation on the files."""
    vfs = _RecordingVfs(f"recording-{id(log)}", log)

    def connect(path: Path) -> Any:
        connection = _Connection(str(path), f"recording-{id(log)}")
        connection.vfs = vfs  # type: ignore[attr-defined]
        return connection

    return connect
