"""What stands between the devices and the disk: a real mosquitto, a store, collectors; each can be killed and comes back."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))

from edgesdk_testkit.brokers import RealBroker, running_broker
from edgesdk_testkit.postgresql import PostgresqlServer, running_postgresql
from edgesdk_testkit.recorder_process import RecorderProcess

# As many as a part keeps at the broker; without it, what is beyond is dropped without a word.
_BACKLOG = ("max_queued_messages 1000000",)


@dataclass
class Site:
    """A broker, a store, and collectors.

    Attributes:
        store: what stands after `--db`.
        server: PostgreSQL's; None of a file.
    """

    broker: RealBroker
    store: str
    server: PostgresqlServer | None = None
    collectors: list[RecorderProcess] = field(default_factory=list)

    def start_collector(self, *options: str) -> RecorderProcess:
        """Start one more, and return when it records."""
        started = RecorderProcess(self.broker.url, self.store, "--wait", *options).wait_ready()
        self.collectors.append(started)
        return started

    def stop(self, collector: RecorderProcess) -> dict[str, Any]:
        """Stop a collector in good order, and return what it did."""
        code, done = collector.finish()
        self.collectors.remove(collector)
        if code:
            raise RuntimeError(f"a collector ended with {code}: {collector.log[-2000:]}")
        return done

    def rows(self) -> tuple[int, int]:
        """Return how many reports are stored, and of how many devices."""
        from sqlalchemy import text

        from edgesdk.fleet.store import address
        from edgesdk.fleet.store.engine import connect

        engine = connect(address.parse(self.store))
        try:
            with engine.connect() as connection:
                row = connection.execute(text("SELECT count(*), count(DISTINCT stream) FROM records")).one()
                return int(row[0]), int(row[1])
        finally:
            engine.dispose()

    def settled(self) -> Iterator[int]:
        """Return, each time that it is asked, how many reports are settled: one look at a small table."""
        from sqlalchemy import text

        from edgesdk.fleet.store import address
        from edgesdk.fleet.store.engine import connect

        engine = connect(address.parse(self.store))
        try:
            while True:
                with engine.connect() as connection:
                    settled = int(connection.execute(text("SELECT coalesce(sum(upto), 0) FROM streams")).scalar_one())
                yield settled
        finally:
            engine.dispose()

    def size_bytes(self) -> int:
        """Return what the store takes on the disk."""
        if self.server is None:
            return sum(file.stat().st_size for file in Path(self.store).parent.glob("fleet.db*") if file.is_file())
        import psycopg

        with psycopg.connect(self.store) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return int(row[0]) if row else 0

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return the processes of each part."""
        found = {"broker": [psutil.Process(_pid(self.broker))]}
        found["collector"] = [psutil.Process(_pid(one)) for one in self.collectors]
        if self.server is not None:
            server = psutil.Process(_pid(self.server))
            found["database"] = [server, *server.children()]
        return found


def _pid(owner: RealBroker | RecorderProcess | PostgresqlServer) -> int:
    process: subprocess.Popen[str] | None = owner._process  # type: ignore[assignment]  # noqa: SLF001  (ours)
    assert process is not None  # noqa: S101
    return process.pid


@contextlib.contextmanager
def running_site(kind: str) -> Iterator[Site]:
    """Run a broker and an empty store, `sqlite` or `postgresql`, in a folder of their own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgesdk-capacity-")))
        broker = stack.enter_context(running_broker("mosquitto", folder / "broker", extra=_BACKLOG))
        server = stack.enter_context(running_postgresql()) if kind == "postgresql" else None
        store = str(folder / "fleet.db") if server is None else server.new_database("fleet")
        site = Site(broker, store, server)
        try:
            yield site
        finally:
            for collector in site.collectors:
                collector.kill()


class CpuMeter:
    """Processor seconds of the parts of a site, between two moments; of a process that ended, up to the last look at it."""

    def __init__(self, processes: dict[str, list[psutil.Process]]) -> None:
        self._processes = processes
        self._last: dict[psutil.Process, float] = {}
        self.look()
        self._before = dict(self._last)

    def look(self) -> None:
        """Read the clocks of all that still live."""
        for process in (one for found in self._processes.values() for one in found):
            # One that ended has no clock: 0 would be less than it had at the start.
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                # A process that nobody has waited for yet may tell 0, too.
                self._last[process] = max(self._last.get(process, 0.0), times.user + times.system)

    def seconds(self) -> dict[str, float]:
        """Return what each part took since the start."""
        self.look()
        return {
            name: round(sum(self._last.get(one, 0.0) - self._before.get(one, 0.0) for one in found), 3)
            for name, found in self._processes.items()
        }
