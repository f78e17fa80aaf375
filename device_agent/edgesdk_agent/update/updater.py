"""Carry an update out: ask the rules, write what they say, do the one thing that follows. All of it may be cut off anywhere.

Every act can be made twice without harm, and the record is written before the act that belongs to it begins. So after a
cut of the power, a crash or a kill, `step` goes on where the record says, whatever was half done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.update import rules
from edgesdk_agent.update.launcher import Switch, read_switch
from edgesdk_agent.update.orders import give_order
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.record import RecordFile, Release, Step, UpdateRecord
from edgesdk_agent.update.rules import Limits, Moment, Order
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.staging import Build, NotPromised, Staging
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_agent.update.trial_watch import Baseline
from edgesdk_targets.errors import BundleError, DeviceError, EdgeError, FetchFailed, InputError, NoSpace

log = logging.getLogger(__name__)


class Fetch(Protocol):
    """Where releases come from: a server, a file, a stick."""

    def __call__(self, release: Release, address: str, into: Path) -> None:
        """Bring the release from `address` to `into`, whole and synced or not at all, and go on with what came before.

        Raises:
            BundleError: what comes is not what was promised.
            LinkError, DeviceError: it does not come now; it is asked again.
        """


class Updater:
    """The update of one device; used by one thread.

    Args:
        root: the folder that launcher and agent share.
        clock: seconds since the system's start, and which start; see `Moment`.
        hot: says whether this program can take over a bundle between two frames.
        build: makes an agent's environment, see `Staging`; None where agents are not taken.
        changed: told of each new record, after it is written.
        before: returns what the run shows now: what a trial is compared with.

    Attributes:
        held_up: why the last attempt to fetch brought nothing; None once it did.
    """

    def __init__(
        self,
        root: Path,
        fetch: Fetch,
        proof: Proof,
        clock: Callable[[], Moment],
        *,
        limits: Limits | None = None,
        build: Build | None = None,
        hot: Callable[[], bool] = lambda: False,
        changed: Callable[[UpdateRecord], None] | None = None,
        before: Callable[[], Baseline] = lambda: Baseline({}, {}),
    ) -> None:
        self.slots = Slots(root)
        self.slots.prepare()
        self._root, self._fetch, self._proof, self._clock = root, fetch, proof, clock
        self._limits = limits or Limits()
        self._changed, self._before, self._hot = changed, before, hot
        self._staging = Staging(self.slots, proof, build)
        self._file = RecordFile(root)
        # The last act came to no end, and not by the release's fault, which would have ended the update.
        self._put_off = False
        self.held_up: EdgeError | None = None
        self.damage = self._file.damage

    @property
    def record(self) -> UpdateRecord:
        return self._file.now

    def begin(self, release: Release, address: str = "") -> None:
        """Put the first release into a slot, on a device that has none; the launcher takes it up at its start.

        Raises:
            InputError: there are slots in use already, or the disk refuses; NoSpace.
            BundleError: it is not what was promised, or does not do its work here.
            FetchFailed: it cannot be reached.
        """
        switch = read_switch(self._root)
        if switch.active or release.kind != "bundle":
            told = "This device has its slots already." if switch.active else "A device begins with a bundle."
            raise InputError(told, hint="Offer an update.")
        self._fetch(release, address, self.slots.arrival(release))
        self._staging.stage("a", release, switch)
        self._order(Order("begin", "a", release.id), switch)

    def offer(self, release: Release, address: str = "", shadow: ShadowPlan | None = None) -> None:
        """Begin an update. Raises InputError, Downgrade: see `rules.offered`."""
        self._observe()
        switch = read_switch(self._root)
        beside = self._held(switch)[1]
        self._write(rules.offered(self.record, switch, release, self._clock(), self._limits, address, beside, shadow))

    def go_back(self, why: str) -> None:
        """Begin the way back to the release before. Raises InputError: see `rules.return_asked`."""
        self._observe()
        self._write(rules.return_asked(self.record, read_switch(self._root), why, self._clock(), self._limits))

    def leave(self, release_id: str, why: str) -> None:
        """End what is under way of a release, or go back from it where it runs; nothing where it does neither.

        Raises:
            InputError: it runs, and cannot be left; see `rules.return_asked`.
        """
        self._observe()
        record = self.record
        if not record.step.at_rest and record.release is not None and record.release.id == release_id:
            self.abort(why)
        elif (
            record.confirmed is not None
            and record.confirmed.id == release_id
            and (record.step.at_rest or not record.back)
        ):
            self.go_back(why)
        elif self.runs(release_id) and record.step.at_rest:
            raise InputError("This device cannot go back: another release came since.", hint="Offer a bundle instead.")

    def runs(self, release_id: str) -> bool:
        """Say whether a release runs, and not on trial."""
        switch = read_switch(self._root)
        return switch.trial is None and release_id in {one.id for one in self._held(switch) if one is not None}

    def abort(self, why: str) -> None:
        """End the update that is under way; a trial by way of the launcher, at the next `step`."""
        switch, record = self._observe(), self.record
        if record.step is Step.TRIAL and record.release is not None:
            self._give_up(record, record.release, why, switch)
        else:
            self._write(rules.failed(record, why, final=False))

    def shadowed(self, said: ShadowSummary) -> None:
        """Note what a shadow run said; see `rules.shadowed`. Raises NoSpace, InputError."""
        self._write(rules.shadowed(self.record, said, self._clock(), self._limits))

    def hold(self) -> None:
        """Keep the step's time from being over while it may not go on; seldom written. Raises NoSpace, InputError."""
        deadline, now = self.record.deadline, self._clock()
        if deadline is None:
            return
        if deadline.boot != now.boot or deadline.until_s - now.at_s < deadline.lasts_s / 2:
            self._write(self.record.but(deadline=rules.deadline_in(deadline.lasts_s, now)))

    def waits(self, what: str) -> None:
        """Note what a trial waits for, which is told should its time be over. Raises NoSpace, InputError."""
        if self.record.step is Step.TRIAL:
            self._write(self.record.but(waited=what[:1024]))

    def step(self, verdict: Verdict | None = None) -> bool:
        """Do the one thing that follows; return whether there may be more to do at once.

        Args:
            verdict: of the trial's gate, while this process is what is on trial.
        """
        try:
            switch = self._observe()
            record, late = rules.in_time(self.record, self._clock())
            self._write(record)
            # A trial's time is the launcher's business, which needs nobody to work for that.
            if late and record.step is not Step.TRIAL:
                final = record.step is Step.VERIFIED and not self._put_off
                self._write(rules.failed(record, late, final=final))
                return True
            # Until it has come to an end.
            self._put_off = True
            more = self._act(record, switch, verdict or Verdict())
            self._put_off = False
            return more
        except BundleError as error:
            return self._failed(error)
        except (DeviceError, InputError, FetchFailed) as error:
            # The disk, a repository that cannot be asked now, or an end of this process: nothing of the bundle's, and waiting may
            # mend it; the deadline ends it, and is held against nobody then.
            log.warning("update: %s", error.message)
            return False

    def _failed(self, error: BundleError) -> bool:
        try:
            final = not isinstance(error, NotPromised)
            self._write(rules.failed(self.record, error.message, final=final))
        except (NoSpace, InputError) as refused:
            log.warning("update: %s", refused.message)
            return False
        return True

    def _act(self, record: UpdateRecord, switch: Switch, verdict: Verdict) -> bool:
        if record.step is Step.DOWNLOADING and record.release is not None:
            return self._download(record.release, record.address)
        if record.step is Step.VERIFIED and record.release is not None:
            return self._stage(record.release, record.slot, switch)
        if record.step is Step.STAGED and not record.before_p95_ms and record.shadow is None:
            before = self._before()
            results = {camera: dict(profile) for camera, profile in before.results.items()}
            self._write(record.but(before_p95_ms=dict(before.p95_ms), before_results=results))
        if record.step is Step.TRIAL and verdict.void and not record.why and record.release is not None:
            self._give_up(record, record.release, verdict.void, switch)
            return False
        hot = record.step is Step.STAGED and self._is_same_program(record.slot, switch) and self._hot()
        order = rules.order_for(record, switch, healthy=verdict.healthy, unfit=verdict.unfit, hot=hot)
        if order is not None:
            self._order(order, switch)
            return False
        left = record.step is Step.ROLLED_BACK and not record.back
        refused = record.step is Step.IDLE and record.shadowed is not None and record.why != ""
        if (left or refused) and record.slot not in {"", switch.active}:
            self.slots.prune(record.slot, switch)
        if record.step.at_rest:
            self.slots.forget_arrivals()
            self._staging.forget_environments(switch)
        return False

    def _download(self, release: Release, address: str) -> bool:
        self.slots.forget_arrivals(but=release)
        arrival = self.slots.arrival(release)
        if not arrival.exists():
            try:
                self._fetch(release, address, arrival)
            except BundleError as error:
                self._write(rules.failed(self.record, error.message, final=False))
                return True
            except EdgeError as error:
                self.held_up = error
                log.warning("update: %s", error.message)
                return False
        self.held_up = None
        # Before the other slot is touched: what nobody signed must not cost the way back to the release before.
        self._staging.check_promised(arrival, release)
        self._write(rules.passed(self.record, Step.DOWNLOADING, self._clock(), self._limits))
        return True

    def _stage(self, release: Release, slot: str, switch: Switch) -> bool:
        if not self._staging.stage(slot, release, switch):
            self._write(rules.lost(self.record, self._clock(), self._limits))
        else:
            self._write(rules.passed(self.record, Step.VERIFIED, self._clock(), self._limits))
        return True

    def _is_same_program(self, slot: str, switch: Switch) -> bool:
        """Say whether a slot is run by the agent that runs now."""
        staged, runs = self.slots.content(slot), self.slots.content(switch.active)
        return staged is not None and runs is not None and staged.environment == runs.environment

    def _give_up(self, record: UpdateRecord, release: Release, why: str, switch: Switch) -> None:
        """End a trial by no fault of the release, which the launcher's answer alone would not tell."""
        self._write(record.but(why=why[:1024]))
        self._order(Order("give_up", record.slot, release.id, why), switch)

    def _observe(self) -> Switch:
        """Bring the record to what the launcher did, and return the switch."""
        switch = read_switch(self._root)
        held, beside = self._held(switch)
        self._write(rules.observed(self.record, switch, held, self._clock(), self._limits, beside))
        return switch

    def _held(self, switch: Switch) -> tuple[Release | None, Release | None]:
        """Return by what the active slot is named, and what else is in it."""
        content = self.slots.content(switch.active) if switch.active else None
        return (None, None) if content is None else (content.release, content.beside)

    def _order(self, order: Order, switch: Switch) -> None:
        give_order(self._root, order, switch, self._limits)

    def _write(self, record: UpdateRecord) -> None:
        if record != self.record:
            self._file.write(record)
            if self._changed is not None:
                self._changed(record)
