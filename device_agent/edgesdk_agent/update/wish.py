"""What somebody at this device asks of its updates, and what the agent answers: two files, each with one writer.

    ROOT/wish.json     install, back or abort; written by a command, taken and removed by the agent
    ROOT/answer.json   whether the wish of that token was taken up, or why not; written by the agent
    ROOT/given/        bundles that a command put there, as a service sees neither people's folders nor their /tmp

So the agent alone drives its update, and a wish outlives its restart: it is removed after it was answered, and all that it
asks for may be asked for twice.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_agent.update.record import Deadline
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import disk_errors, free_bytes_checked, replacing, write_all, write_whole

log = logging.getLogger(__name__)

WISH, ANSWER, GIVEN = "wish.json", "answer.json", "given"
_LARGEST_BYTES = 1 << 16
_BLOCK = 1 << 20


class Wish(BaseModel):
    """What is asked for.

    Attributes:
        token: by which its answer is found.
        address: of the bundle that is to run: a path, or https; for `install`.
        release: for `back`, the digest of the bundle that is to be left: nothing is to be done where another one runs.
        shadow: of `install`: a shadow run that comes before its trial.
        why: for the log and for people.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    do: Literal["install", "back", "abort"]
    token: str = Field(pattern=r"^[0-9a-f]{16}$")
    address: str = Field(default="", max_length=4096)
    release: str = Field(default="", pattern=r"^(sha256:[0-9a-f]{64})?$")
    shadow: ShadowPlan | None = None
    why: str = Field(default="", max_length=300)


class Answer(BaseModel):
    """What became of a wish.

    Attributes:
        taken: it was taken up; else `why` not.
        waits: it is not settled: it will be tried again; until: as long as this.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str
    taken: bool = False
    waits: bool = False
    why: Annotated[str, Field(max_length=4096)] = ""
    until: Deadline | None = None


class WishFiles:
    """The two files of one device."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def give(self, bundle: Path, token: str) -> str:
        """Copy a bundle to where the agent sees it, and return its address there.

        Raises:
            NoSpace, InputError: it cannot be read, or not be written there, or there are no slots.
        """
        place = self._root.absolute() / GIVEN / f"{token}{SUFFIX}"
        try:
            with bundle.open("rb") as source, self._as_owner(), replacing(place) as handle:
                # Of what is open: its folder may be one that the owner of this one must not look into.
                free_bytes_checked(place, os.fstat(source.fileno()).st_size)
                while block := source.read(_BLOCK):
                    write_all(handle, block)
        except OSError as error:
            raise InputError(f"{bundle} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
        return str(place)

    def take_away(self, address: str) -> None:
        """Remove a bundle that was given, now that nobody needs it; what lies elsewhere is not the agent's."""
        path = Path(address)
        if path.parent == self._root.absolute() / GIVEN:
            with suppress(OSError):
                path.unlink()

    def tidy(self, needed: str) -> None:
        """Remove what was given and never asked for, but for what an update or a wish needs."""
        wish = self.wish()
        for path in (self._root.absolute() / GIVEN).glob(f"*{SUFFIX}"):
            if str(path) not in {needed, "" if wish is None else wish.address}:
                self.take_away(str(path))

    def ask(self, wish: Wish) -> None:
        """Ask for something; of several wishes the last one counts.

        Raises:
            InputError: there are no slots there, or this user may not ask.
        """
        with self._as_owner():
            write_whole(self._root / WISH, wish.model_dump_json().encode())

    def wish(self) -> Wish | None:
        """Return what is asked for; what nobody can understand is removed. Raises InputError: it cannot be."""
        raw = _read(self._root / WISH)
        if raw is None:
            return None
        try:
            return Wish.model_validate_json(raw)
        except ValidationError:
            log.warning("%s is no wish, and is removed", self._root / WISH)
            self._remove()
            return None

    def answer(
        self, wish: Wish, *, taken: bool = False, waits: bool = False, why: str = "", until: Deadline | None = None
    ) -> None:
        """Answer, and forget the wish unless it waits.

        Raises:
            NoSpace, InputError: the disk does not take it; the wish stays.
        """
        answer = Answer(token=wish.token, taken=taken, waits=waits, why=why[:4096], until=until)
        if answer != self.answered():
            write_whole(self._root / ANSWER, answer.model_dump_json().encode())
        # Another wish may have come meanwhile, which has its own answer.
        if not waits and self.wish() == wish:
            self._remove()

    def answered(self) -> Answer | None:
        """Return the last answer."""
        raw = _read(self._root / ANSWER)
        try:
            return None if raw is None else Answer.model_validate_json(raw)
        except ValidationError:
            return None

    @contextmanager
    def _as_owner(self) -> Iterator[None]:
        """Write as whom the folder belongs to: the agent must be able to remove it, and could lead an administrator astray.

        Raises:
            InputError: there are no slots.
        """
        try:
            found = self._root.lstat()
        except PermissionError as error:
            raise InputError(
                f"{self._root} is for the service's user and root alone.", hint="Run it with sudo."
            ) from error
        except OSError:
            found = None
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise InputError(f"There are no slots in {self._root}.", hint="Begin with `edgesdk-agent update begin`.")
        if os.geteuid() != 0 or found.st_uid == 0:
            yield
            return
        group, others = os.getegid(), os.getgroups()
        os.setgroups([])
        os.setegid(found.st_gid)
        os.seteuid(found.st_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(others)

    def _remove(self) -> None:
        with disk_errors(self._root / WISH):
            (self._root / WISH).unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST_BYTES)
    except OSError:
        return None
