"""Updates of a running agent: a thread that takes wishes, drives the updater and watches a trial.

It stands in no frame's way. Whatever it cannot do it tells, as an event and in the log, and the agent runs on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.config.update import UpdateSection
from edgesdk_agent.shadow.device_shadow import Beside, DeviceShadow
from edgesdk_agent.update.boot_clock import moment
from edgesdk_agent.update.environment.agent_here import build_in_children, not_in_environment
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.hot_swap import HotSwap
from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.launcher import SLOTS, read_switch
from edgesdk_agent.update.proof_here import proof_of
from edgesdk_agent.update.record import Step, UpdateRecord
from edgesdk_agent.update.rules import in_time
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_agent.update.trial_watch import Baseline, RunningAgent, TrialWatch
from edgesdk_agent.update.updater import Updater
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_agent.update.wish_desk import Settled, WishDesk
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_AGAIN_S = 5.0
_STOP_S = 3.0
# Often enough to be told at the end, and seldom enough for a card.
_NOTE_S = 10.0
# Somebody else is asked in these, who may not answer now.
_ASKING = (Step.DOWNLOADING, Step.VERIFIED)


class AgentUpdate:
    """The update of the device that this agent runs on.

    Args:
        section: how; target, variant: as they are configured, empty for whatever runs here.
        launched: from which slot this process runs.
        agent: what a trial looks at; budget_ms: how old its results may be.
        tell: reports an event.
        swap: takes a bundle over in this program; None starts another one.
        clock_trusted: whether the wall clock can be believed; hours are kept only by one that can.
        beside: where a shadow run gets its frames; None where there are none.
        standing: says at which step the update is, for whoever asks only later: events are said once.
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
        swap: HotSwap | None = None,
        beside: Beside | None = None,
        standing: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._section, self._launched, self._agent = section, launched, agent
        self._tell, self._clock_trusted, self._standing = tell, clock_trusted, standing
        self._stopping = threading.Event()
        self._proof = proof_of(section, target, variant, self._stopping, clock_trusted)
        self._build = build_in_children(target, variant, self._stopping)
        self._sources = Sources(
            self._proof.accept, bytes_per_s=section.bytes_per_s, open_now=self._interrupted, stopping=self._stopping,
            authority=section.ca, held=lambda: [Slots(launched.root).bundle(slot) for slot in SLOTS],
        )  # fmt: skip
        self._wishes = WishFiles(launched.root)
        self._shadow = DeviceShadow(beside)
        self._swap, self._gate = swap, section.gate(budget_ms)
        self._watch = TrialWatch(agent, self._gate)
        self._backoff = Backoff(first_s=5.0, limit_s=300.0)
        self._counts: Counter[str] = Counter()
        self._updater: Updater | None = None
        # The wish that could not be settled yet, and when the network is asked again.
        self._waiting, self._retry_at, self._note_at = "", 0.0, 0.0
        self._waits_for, self._last_told = "", _told_of(UpdateRecord())
        self._told_held: set[str] = set()
        self._desk = WishDesk(
            self._wishes, self._sources, self._proof, longest_s=section.limits().downloading_s, closed=self._closed,
            tell=tell, counts=self._counts,
        )  # fmt: skip
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
        self._shadow.end()

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
        self._follow(updater)
        if self._launched.is_replaced():
            # The launcher ends this process: what it still runs from is not to be tidied away under it.
            return _LOOK_S
        self._watch.look()
        self._take_wish(updater)
        step = updater.record.step
        if step is not Step.STAGED:
            self._watch.unsettle()
        if step in _ASKING and time.monotonic() < self._retry_at:
            return _LOOK_S
        if self._shadowing(updater):
            return _LOOK_S
        # A trial may mean seconds without results, which is what hours are kept for; the way back is not put off.
        if step in {Step.DOWNLOADING, Step.STAGED} and not updater.record.back and self._closed():
            updater.hold()
            return _LOOK_S
        # What a trial is compared with is not to be measured beside a proof that takes the cores.
        if step is Step.STAGED and self._is_too_early(updater.record):
            return _LOOK_S
        if updater.step(self._verdict(updater, updater.record)):
            self._backoff.reset()
            return 0.0
        if updater.record.step in _ASKING:
            self._tell_held_up(updater)
            self._try_later()
        return _LOOK_S

    def _tell_held_up(self, updater: Updater) -> None:
        """Tell why a download does not go on, each reason once in its step; not that it was interrupted, which is meant so."""
        held, release = updater.held_up, updater.record.release
        if (
            held is None
            or release is None
            or held.code in self._told_held
            or self._stopping.is_set()
            or self._interrupted()
        ):
            return
        self._told_held.add(held.code)
        self._tell("update_waits", "warning", held.message, data={"code": held.code, "id": release.id, "do": "install"})

    def _take_wish(self, updater: Updater) -> None:
        """Settle what is asked for, if something is."""
        wish = self._wishes.wish()
        if wish is None or not self._is_news(wish):
            return
        settled = self._desk.settle(updater, wish)
        self._waiting = wish.token if settled is Settled.WAITS else ""
        if self._waiting:
            self._try_later()
        elif settled is Settled.TAKEN:
            self._retry_at = 0.0
            self._backoff.reset()

    def _follow(self, updater: Updater) -> None:
        """Take over in this program what is on trial, where the launcher has counted that as a start."""
        switch = read_switch(self._launched.root)
        if self._swap is None or switch.trial is None or not self._swap.is_asked(self._launched, switch):
            return
        moved = self._swap.take(self._launched, switch.trial.slot, updater.slots.content(switch.trial.slot))
        if moved is None:
            self._swap = None  # this program ends
            return
        self._launched = moved
        self._watch = TrialWatch(self._agent, self._gate, in_running=True)

    def _shadowing(self, updater: Updater) -> bool:
        """Let a candidate run beside what runs, where that is asked for; tell whether the trial waits for it."""
        record = updater.record
        if record.step is not Step.STAGED or record.shadow is None or record.release is None:
            self._shadow.end()
            return False
        # Its time, and what the launcher did.
        updater.step()
        deadline = updater.record.deadline
        if record.shadowed is not None or updater.record.step is not Step.STAGED or deadline is None:
            return updater.record.step is Step.STAGED
        said = self._shadow.look(
            record.release.id,
            record.shadow,
            running=updater.slots.bundle(read_switch(self._launched.root).active),
            candidate=updater.slots.bundle(record.slot),
            lasts_s=min(record.shadow.lasts_s, deadline.until_s - moment().at_s),
        )
        if said is not None:
            updater.shadowed(said)
        return updater.record.shadow is not None

    def _opened(self) -> Updater:
        updater = Updater(
            self._launched.root, self._sources, self._proof, moment, limits=self._section.limits(),
            build=self._build, hot=self._can_swap, changed=self._changed, before=self._before,
        )  # fmt: skip
        self._last_told = _told_of(updater.record)
        self._standing(updater.record.step.value)
        self._wishes.tidy("" if updater.record.step.at_rest else updater.record.address)
        if updater.damage:
            self._tell("update_record_lost", "warning", updater.damage)
        return updater

    def _is_too_early(self, record: UpdateRecord) -> bool:
        return not record.back and not record.before_p95_ms and not self._watch.is_settled()

    def _before(self) -> Baseline:
        # Of whatever watches now: what is taken over has a watch of its own.
        return self._watch.baseline()

    def _is_news(self, wish: Wish) -> bool:
        return wish.token != self._waiting or time.monotonic() >= self._retry_at

    def _try_later(self) -> None:
        self._retry_at = time.monotonic() + self._backoff.next_s()

    def _verdict(self, updater: Updater, record: UpdateRecord) -> Verdict | None:
        """Judge this run, if it is the one on trial."""
        trial = read_switch(self._launched.root).trial
        content = updater.slots.content(self._launched.slot)
        if trial is None or trial.slot != self._launched.slot or content is None or content.bundle is None:
            return None
        if why := not_in_environment(self._launched.root, content):
            return Verdict(void=why)
        verdict = self._watch.verdict(content.bundle, Baseline(record.before_p95_ms, record.before_results))
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
        self._told_held.clear()
        release = record.release
        failed = record.step is Step.ROLLED_BACK or (record.step is Step.IDLE and record.why != "")
        told: dict[str, Any] = {"step": record.step.value, "why": record.why, "executing": self._agent.digest()}
        if record.shadowed is not None:
            told["shadow"] = record.shadowed.model_dump(mode="json")
        if release is not None:
            told |= {"id": release.id, "name": release.name, "version": release.version, "release": release.number}
        if record.step is Step.VERIFIED:
            told |= {"fetched_bytes": self._sources.last.fetched, "reused_bytes": self._sources.last.reused}
        named = "" if release is None else f"{release.name} {release.version}: "
        why = record.why or (
            "" if record.shadowed is None or record.step is not Step.STAGED else record.shadowed.in_words()
        )
        message = f"{named}{record.step.value}{f', {why}' if why else ''}"
        if record.step.at_rest:
            self._wishes.take_away(record.address)
            self._counts[record.step.value.replace(" ", "_") if record.step is not Step.IDLE else "failed"] += 1
        log.log(logging.WARNING if failed else logging.INFO, "update: %s", message)
        self._tell("update_step", "warning" if failed else "info", message, data=told)
        self._standing(record.step.value)

    def _interrupted(self) -> str:
        """Say why a download pauses: the hour, its own time that is over, or something else that is asked for."""
        wish = self._wishes.wish()
        if wish is not None and self._is_news(wish):
            return "Something else is asked for."
        late = "" if self._updater is None else in_time(self._updater.record, moment())[1]
        return late or self._closed()

    def _can_swap(self) -> bool:
        return self._section.swap and self._swap is not None and self._swap.has_room()

    def _closed(self) -> str:
        """Say why nothing may come at this hour; nothing where it may, or where nobody knows what hour it is."""
        window = self._section.window()
        if window is None or not self._clock_trusted():
            return ""
        now = time.localtime()
        return "" if window.holds(now.tm_hour * 60 + now.tm_min) else f"It waits for {self._section.hours}."


def _told_of(record: UpdateRecord) -> tuple[object, ...]:
    """Return what of a record is told."""
    return record.step, record.release, record.why, record.shadowed
