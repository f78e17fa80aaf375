"""Which commands came before, and what was answered: a command is done once, however often it is sent.

A command is written down before it is begun. One that is found begun after a start was cut off by the end of the
process; it is answered so, and not begun again. (`restart` is the exception: that the process ended is its success.)

The file is small, bounded, written whole, and lost only with the disk; damaged, it is put aside and told.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from edgesdk_targets.errors import EdgeError
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.messages.envelope import Token
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

log = logging.getLogger(__name__)

# The answer of `logs` may be large; of a repetition of such a command only its verdict is remembered.
_LARGEST_ANSWER_BYTES = 4096
_LARGEST_FILE_BYTES = 64 << 20


class Remembered(LateModel):
    """One command: begun, or what was answered in the end.

    Attributes:
        asked: digest of the verb and its arguments; empty in what an earlier version remembered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Token
    verb: Annotated[str, Field(max_length=256)]
    asked: str = ""
    state: Literal["begun", "over"] = "begun"
    ok: bool = False
    code: str = ""
    message: str = ""
    data: dict[str, JsonValue] = Field(default_factory=dict)


class _File(LateModel):
    model_config = ConfigDict(extra="ignore")

    schema_id: Literal["commands/1"] = Field(default="commands/1", alias="schema")
    commands: list[Remembered] = Field(default_factory=list)


class CommandMemory:
    """The last commands by id, the newest last; used by one thread.

    Args:
        path: of the file; None remembers in memory only.
        limit: how many are remembered.
    """

    def __init__(self, path: Path | None, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._known: OrderedDict[str, Remembered] = OrderedDict((one.id, one) for one in _read(path))
        self.unsaved = 0
        self._trim()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, command_id: str) -> Remembered | None:
        """Return what is known of a command."""
        return self._known.get(command_id)

    def begun(self) -> tuple[Remembered, ...]:
        """Return the commands that an end of the process cut off."""
        return tuple(one for one in self._known.values() if one.state == "begun")

    def note(self, one: Remembered) -> None:
        """Remember a command from now on; where the disk does not take it, in memory only, which is counted."""
        if len(json.dumps(one.data)) > _LARGEST_ANSWER_BYTES:
            one = one.model_copy(update={"data": {}, "message": one.message or "The answer was too large to be kept."})
        self._known[one.id] = one
        self._known.move_to_end(one.id)
        self._trim()
        if self._path is None:
            return
        document = _File(commands=list(self._known.values()))
        try:
            write_whole(self._path, document.model_dump_json(by_alias=True).encode(), OWNER_ONLY)
        except EdgeError as error:
            self.unsaved += 1
            log.warning("Commands are not remembered over a restart: %s", error.message)

    def _trim(self) -> None:
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


def _read(path: Path | None) -> list[Remembered]:
    if path is None or not path.exists():
        return []
    try:
        with path.open("rb") as stream:
            return _File.model_validate_json(stream.read(_LARGEST_FILE_BYTES)).commands
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read, and earlier commands are forgotten: %s", path, type(error).__name__)
        return []
