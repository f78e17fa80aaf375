"""A wall clock that is set: the agent is started with libfaketime, and its wall clock jumps by an hour while it runs.

The monotonic clock is left alone, as a time server leaves it alone. Without libfaketime this machine's own clock would have
to be set, which a test must not do: the injection is then left out and said to be.
"""

from __future__ import annotations

from pathlib import Path

from edgesdk.soak.field import Field

_LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


class ClockJump:
    """An hour forward while it lasts, and back at the end."""

    name = "clock-jump"
    lasts_s = 8.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:
        if self._library() is None:
            return "libfaketime is not installed (Debian faketime)"
        self._prepare(field)
        return ""

    def begin(self, field: Field) -> None:
        self._file(field).write_text("+3600s\n")

    def end(self, field: Field) -> None:
        self._file(field).write_text("+0s\n")

    def _prepare(self, field: Field) -> None:
        """Let the agent be started with it; it reads the file again at each look at the clock."""
        self._file(field).write_text("+0s\n")
        field.environment.update(
            LD_PRELOAD=str(self._library()),
            FAKETIME_TIMESTAMP_FILE=str(self._file(field)),
            FAKETIME_NO_CACHE="1",
            DONT_FAKE_MONOTONIC="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )

    def _file(self, field: Field) -> Path:
        return field.folder / "faketime"

    def _library(self) -> Path | None:
        return next((path for pattern in _LIBRARIES for path in Path("/").glob(pattern[1:])), None)
