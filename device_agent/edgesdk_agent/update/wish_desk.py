"""What becomes of a wish: it is taken up, refused or put off, and whoever asked and the fleet are told which."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from enum import Enum

from edgesdk_agent.update.boot_clock import moment
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.rules import counted_on, deadline_in
from edgesdk_agent.update.updater import Updater
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.errors import EdgeError, FetchFailed, InputError, NoSpace

log = logging.getLogger(__name__)


class Settled(Enum):
    """What became of a wish."""

    TAKEN = "taken"
    WAITS = "waits"
    OVER = "over"


class WishDesk:
    """Settles the wishes of one device; used by one thread.

    Args:
        longest_s: how long a wish may wait for what cannot be had.
        closed: says why nothing may come at this hour; empty where it may.
        tell: reports an event; counts: of what was refused.
    """

    def __init__(
        self,
        files: WishFiles,
        sources: Sources,
        proof: Proof,
        *,
        longest_s: float,
        closed: Callable[[], str],
        tell: Callable[..., None],
        counts: Counter[str],
    ) -> None:
        self._files, self._sources, self._proof = files, sources, proof
        self._longest_s, self._closed, self._tell, self._counts = longest_s, closed, tell, counts
        # What was told of a wish: on a full disk its answer cannot be written, and it is looked at again and again.
        self._told: tuple[str, ...] = ()

    def settle(self, updater: Updater, wish: Wish) -> Settled:
        """Take a wish up or refuse it, or let it wait."""
        subject = wish.release
        try:
            if wish.do == "abort":
                updater.abort(wish.why or "aborted")
            elif wish.do == "back" and wish.release:
                updater.leave(wish.release, wish.why or "asked for")
            elif wish.do == "back":
                updater.go_back(wish.why or "asked for")
            elif closed := self._closed():
                return self._put_off_until_open(wish, closed)
            else:
                release = self._sources.release_at(wish.address)
                subject = release.id
                if updater.runs(release.id):
                    self._files.answer(wish, taken=True, why="It runs already.")
                    self._files.take_away(wish.address)
                    return Settled.OVER
                self._proof.check_released(release)
                if wish.shadow is not None and release.kind != "bundle":
                    raise InputError("A shadow run is for a bundle.", hint="Install it without one.")
                updater.offer(release, wish.address, wish.shadow)
        except (FetchFailed, NoSpace) as error:
            return self._put_off(wish, error)
        except EdgeError as error:
            self._refuse(wish, error, subject)
            return Settled.OVER
        self._files.answer(wish, taken=True)
        return Settled.TAKEN

    def _put_off_until_open(self, wish: Wish, closed: str) -> Settled:
        """Let a wish wait for its hours, however far they are: nothing is wrong, and its time has not begun."""
        answered = self._files.answered()
        if answered is None or (answered.token, answered.why) != (wish.token, closed):
            self._tell_once("update_waits", wish, closed, closed, severity="info", data={"code": "hours"})
        self._files.answer(wish, waits=True, why=closed)
        return Settled.WAITS

    def _put_off(self, wish: Wish, error: FetchFailed | NoSpace) -> Settled:
        """Let a wish wait, as long as a download may take and no longer."""
        answered, now = self._files.answered(), moment()
        known = answered.until if answered is not None and answered.token == wish.token else None
        until, late = counted_on(known or deadline_in(self._longest_s, now), now)
        if late:
            self._refuse(wish, FetchFailed(f"It {late}: {error.message}", hint=error.hint))
            return Settled.OVER
        if known is None or answered is None or answered.why != error.message:
            self._tell_once("update_waits", wish, error.message, error.message, data={"code": error.code})
        self._files.answer(wish, waits=True, why=error.message, until=until)
        return Settled.WAITS

    def _refuse(self, wish: Wish, error: EdgeError, subject: str = "") -> None:
        """Refuse a wish; subject: the digest of the release that it is about, where that is known."""
        # Told first: whoever sees the answer can rely on the event.
        if self._tell_once("update_refused", wish, "", error.message, data={"code": error.code, "id": subject}):
            self._counts["refused"] += 1
            log.warning("update: %s is refused: %s", wish.do, error.message)
        self._files.answer(wish, why=f"{error.message} {error.hint}".strip())
        self._files.take_away(wish.address)

    def _tell_once(
        self, name: str, wish: Wish, what: str, message: str, *, data: dict[str, str], severity: str = "warning"
    ) -> bool:
        """Tell of a wish unless that was the last that was told of it; return whether it was not.

        Args:
            what: in which this differs from another event of that name.
        """
        if (news := (wish.token, name, what)) == self._told:
            return False
        self._told = news
        self._tell(name, severity, message, data={**data, "do": wish.do})
        return True
