"""Updates of a running agent: a thread that takes wishes, drives the updater and watches a trial.

It stands in no frame's way. Whatever it cannot do it tells, as an event and in the log, and the agent runs on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.config.update import UpdateSection
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.launcher import read_switch
from edgesdk_agent.update.proof_here import proof_of
from edgesdk_agent.update.record import Step, UpdateRecord
from edgesdk_agent.update.rules import Moment, counted_on, deadline_in, in_time
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_agent.update.trial_watch import Baseline, RunningAgent, TrialWatch
from edgesdk_agent.update.updater import Updater
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.errors import EdgeError, FetchFailed, NoSpace

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_AGAIN_S = 5.0
_STOP_S = 3.0
# Often enough to be told at the end, and seldom enough for a card.
_NOTE_S = 10.0
# Somebody else is asked in these, who may not answer now.
_ASKING = (Step.DOWNLOADING, Step.VERIFIED)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def moment() -> Moment:
    """Return now, by the clock that runs since the system's start."""
    return Moment(_BOOT_ID.read_text("ascii").strip(), time.clock_gettime(time.CLOCK_BOOTTIME))


class AgentUpdate:
    """The update of the device that this agent runs on.

    Args:
        section: how; target, variant: as they are configured, empty for whatever runs here.
        launched: from which slot this process runs.
        agent: what a trial looks at; budget_ms: how old its results may be.
        tell: reports an event.
        clock_trusted: whether the wall clock can be believed; hours are kept only by one that can.
    """

    def __init__(
        self,
        section: UpdateSection,
        launched: Launched,
        agent: RunningAgent,
        *,
        target: str,
        variant: str,
        budget_ms: float,
        tell: Callable[..., None],
        clock_trusted: Callable[[], bool],
    ) -> None:
        self._section, self._launched, self._agent = section, launched, agent
        self._tell, self._clock_trusted = tell, clock_trusted
        self._stopping = threading.Event()
        self._proof = proof_of(section, target, variant, self._stopping, clock_trusted)
        self._sources = Sources(
            self._proof.accept, bytes_per_s=section.bytes_per_s, open_now=self._interrupted, stopping=self._stopping,
            authority=section.ca,
        )  # fmt: skip
        self._wishes = WishFiles(launched.root)
        self._watch = TrialWatch(agent, section.gate(budget_ms))
        self._backoff = Backoff(first_s=5.0, limit_s=300.0)
        self._counts: Counter[str] = Counter()
        self._updater: Updater | None = None
        # The wish that could not be settled yet, and when the network is asked again.
        self._waiting, self._retry_at, self._note_at = "", 0.0, 0.0
        self._waits_for, self._last_told = "", _told_of(UpdateRecord())
        # What was told of a wish: on a full disk its answer cannot be written, and it is looked at again and again.
        self._told_of_wish: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="edgesdk-update", daemon=True)

    def counts(self) -> dict[str, int]:
        """Return how many updates came to which end here since the start, and how many wishes were refused."""
        return dict(self._counts)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what is half done goes on with the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    # --- on its thread

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                wait_s = self._turn()
            except EdgeError as error:
                log.warning("update: %s %s", error.message, error.hint)
                wait_s = _AGAIN_S
            except Exception:  # the thread's top: an update that fails must not end what runs
                log.exception("The update failed")
                wait_s = _AGAIN_S

    def _turn(self) -> float:
        """Do one thing, and return when to look again."""
        updater = self._updater = self._updater or self._opened()
        self._watch.look()
        wish = self._wishes.wish()
        if wish is not None and self._is_news(wish):
            self._waiting = wish.token if self._wished(updater, wish) else ""
            if self._waiting:
                self._try_later()
        step = updater.record.step
        if step in _ASKING and time.monotonic() < self._retry_at:
            return _LOOK_S
        # A trial may mean seconds without results, which is what hours are kept for; the way back is not put off.
        if step is Step.STAGED and not updater.record.back and self._closed():
            updater.hold()
            return _LOOK_S
        if updater.step(self._verdict(updater, updater.record)):
            self._backoff.reset()
            return 0.0
        if updater.record.step in _ASKING:
            self._try_later()
        return _LOOK_S

    def _opened(self) -> Updater:
        updater = Updater(
            self._launched.root, self._sources, self._proof, moment, limits=self._section.limits(),
            changed=self._changed, before=self._watch.baseline,
        )  # fmt: skip
        self._last_told = _told_of(updater.record)
        self._wishes.tidy("" if updater.record.step.at_rest else updater.record.address)
        if updater.damage:
            self._tell("update_record_lost", "warning", updater.damage)
        return updater

    def _is_news(self, wish: Wish) -> bool:
        return wish.token != self._waiting or time.monotonic() >= self._retry_at

    def _try_later(self) -> None:
        self._retry_at = time.monotonic() + self._backoff.next_s()

    def _wished(self, updater: Updater, wish: Wish) -> bool:
        """Take a wish up or refuse it; return whether it waits."""
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
                release, switch = self._sources.release_at(wish.address), read_switch(self._launched.root)
                subject = release.id
                if release.id == switch.id and switch.trial is None:
                    self._wishes.answer(wish, taken=True, why="It runs already.")
                    self._wishes.take_away(wish.address)
                    return False
                self._proof.check_released(release)
                updater.offer(release, wish.address)
        except (FetchFailed, NoSpace) as error:
            return self._put_off(wish, error)
        except EdgeError as error:
            self._refuse(wish, error, subject)
            return False
        self._wishes.answer(wish, taken=True)
        self._retry_at = 0.0
        self._backoff.reset()
        return False

    def _put_off_until_open(self, wish: Wish, closed: str) -> bool:
        """Let a wish wait for its hours, however far they are: nothing is wrong, and its time has not begun."""
        answered = self._wishes.answered()
        if answered is None or (answered.token, answered.why) != (wish.token, closed):
            self._tell_once("update_waits", wish, closed, closed, severity="info", data={"code": "hours"})
        self._wishes.answer(wish, waits=True, why=closed)
        return True

    def _put_off(self, wish: Wish, error: FetchFailed | NoSpace) -> bool:
        """Let a wish wait, as long as a download may take and no longer; return whether it does."""
        answered, now = self._wishes.answered(), moment()
        known = answered.until if answered is not None and answered.token == wish.token else None
        until, late = counted_on(known or deadline_in(self._section.limits().downloading_s, now), now)
        if late:
            self._refuse(wish, FetchFailed(f"It {late}: {error.message}", hint=error.hint))
            return False
        if known is None or answered is None or answered.why != error.message:
            self._tell_once("update_waits", wish, error.message, error.message, data={"code": error.code})
        self._wishes.answer(wish, waits=True, why=error.message, until=until)
        return True

    def _refuse(self, wish: Wish, error: EdgeError, subject: str = "") -> None:
        """Refuse a wish; subject: the digest of the release that it is about, where that is known."""
        # Told first: whoever sees the answer can rely on the event.
        if self._tell_once("update_refused", wish, "", error.message, data={"code": error.code, "id": subject}):
            self._counts["refused"] += 1
            log.warning("update: %s is refused: %s", wish.do, error.message)
        self._wishes.answer(wish, why=f"{error.message} {error.hint}".strip())
        self._wishes.take_away(wish.address)

    def _tell_once(
        self, name: str, wish: Wish, what: str, message: str, *, data: dict[str, str], severity: str = "warning"
    ) -> bool:
        """Tell of a wish unless that was the last that was told of it; return whether it was not.

        Args:
            what: in which this differs from another event of that name.
        """
        if (news := (wish.token, name, what)) == self._told_of_wish:
            return False
        self._told_of_wish = news
        self._tell(name, severity, message, data={**data, "do": wish.do})
        return True

    def _verdict(self, updater: Updater, record: UpdateRecord) -> Verdict | None:
        """Judge this run, if it is the one on trial."""
        trial = read_switch(self._launched.root).trial
        if trial is None or trial.slot != self._launched.slot or record.release is None:
            return None
        verdict = self._watch.verdict(record.release, Baseline(record.before_p95_ms, record.before_results))
        if verdict.waits_for != self._waits_for:
            self._waits_for = verdict.waits_for
            log.info("update: the trial waits for %s", verdict.waits_for or "nothing")
        if time.monotonic() >= self._note_at:
            self._note_at = time.monotonic() + _NOTE_S
            updater.waits(verdict.waits_for)
        return verdict

    def _changed(self, record: UpdateRecord) -> None:
        """Tell a new step, with what runs while it is told."""
        if (news := _told_of(record)) == self._last_told:
            return
        self._last_told = news
        release = record.release
        failed = record.step is Step.ROLLED_BACK or (record.step is Step.IDLE and record.why != "")
        told: dict[str, Any] = {"step": record.step.value, "why": record.why, "executing": self._agent.digest()}
        if release is not None:
            told |= {"id": release.id, "name": release.name, "version": release.version, "release": release.number}
        named = "" if release is None else f"{release.name} {release.version}: "
        message = f"{named}{record.step.value}{f', {record.why}' if record.why else ''}"
        if record.step.at_rest:
            self._wishes.take_away(record.address)
            self._counts[record.step.value.replace(" ", "_") if record.step is not Step.IDLE else "failed"] += 1
        log.log(logging.WARNING if failed else logging.INFO, "update: %s", message)
        self._tell("update_step", "warning" if failed else "info", message, data=told)

    def _interrupted(self) -> str:
        """Say why a download pauses: the hour, its own time that is over, or something else that is asked for."""
        wish = self._wishes.wish()
        if wish is not None and self._is_news(wish):
            return "Something else is asked for."
        late = "" if self._updater is None else in_time(self._updater.record, moment())[1]
        return late or self._closed()

    def _closed(self) -> str:
        """Say why nothing may come at this hour; nothing where it may, or where nobody knows what hour it is."""
        window = self._section.window()
        if window is None or not self._clock_trusted():
            return ""
        now = time.localtime()
        return "" if window.holds(now.tm_hour * 60 + now.tm_min) else f"It waits for {self._section.hours}."


def _told_of(record: UpdateRecord) -> tuple[object, ...]:
    """Return what of a record is told."""
    return record.step, record.release, record.why
