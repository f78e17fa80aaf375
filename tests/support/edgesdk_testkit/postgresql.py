"""A real PostgreSQL server of a test's own: in a temporary folder, on a socket there, of an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import LiteralString

from edgesdk_testkit.brokers import PATIENCE_S, free_port
from edgesdk_testkit.required import missing, needed

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PostgresqlServer:
    """One server. It is killed with all that it keeps in memory, and comes back with what it promised to keep.

    Args:
        folder: for its data; made empty.
        durable: what is committed outlives the machine's power; without that, the server's process alone.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        needed("psycopg")
        self._programs = _programs()
        self.folder = folder
        self._durable = durable
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for part in (folder, self._data):
                shutil.chown(part, self._user)
        self._run("initdb", "--pgdata", str(self._data), "--auth", "trust", "--username", "edgesdk", "--no-sync")

    def start(self, *options: str) -> PostgresqlServer:
        """Start it, and return when it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "64MB",
            "max_wal_size": "512MB",
            # Who shares it with others may leave some open.
            "max_connections": "300",
            "fsync": "on" if self._durable else "off",
        }
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, start_new_session=True, **self._as_user()
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"PostgreSQL does not start: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.05)
        return self

    def new_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._ask("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)  # where a test is given a second go
        self._ask("CREATE DATABASE {}", name)
        return self._url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected with it."""
        self._ask("DROP DATABASE {} WITH (FORCE)", name)

    def stop(self) -> None:
        """End it in good order, without waiting for clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a loss of power does for everybody but the disk."""
        self._end(signal.SIGQUIT)

    def _url(self, name: str) -> str:
        return f"postgresql://edgesdk@127.0.0.1:{self.port}/{name}"

    def _ask(self, statement: LiteralString, name: str) -> None:
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(SQL(statement).format(Identifier(name)))

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE_S)

    def _answers(self) -> bool:
        tried = subprocess.run(
            [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return tried.returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments], capture_output=True, check=False, **self._as_user()
        )
        assert done.returncode == 0, done.stderr.decode()

    def _as_user(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {"cwd": self.folder}
        known = pwd.getpwnam(self._user)
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": [], "cwd": self.folder}


@contextmanager
def running_postgresql(*, durable: bool = True) -> Iterator[PostgresqlServer]:
    """Run a server for the length of a `with` statement; `durable` as the server has it."""
    # Not below pytest's folder, which its user may not enter.
    with tempfile.TemporaryDirectory(prefix="edgesdk-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresqlServer(Path(folder), durable=durable)
        server.start()
        try:
            yield server
        finally:
            # Its data go with the folder: nothing has to be put in order before.
            server.kill()


def _programs() -> Path:
    for folder in _PROGRAMS:
        if (folder / "initdb").is_file():
            return folder
    found = shutil.which("initdb")
    if found is None:
        missing("PostgreSQL is not installed (Debian: postgresql)")
    return Path(found).resolve().parent
