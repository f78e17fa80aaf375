"""The update's rules: which step follows, and what is refused. Pure: no disk, no network, no clock but the one it is given.

    idle ─ offered ─▶ downloading ─ fetched ─▶ verified ─ proven ─▶ staged ─▶ trial ─▶ confirmed
                          │                       │                   │         └───▶ rolled back
                          └────── failed ─────────┴───────────────────┴──▶ idle

Whoever drives them writes the record that a rule returns before doing anything more, and asks `observed` first after every
start. What is staged with a shadow run stays so until that has promoted it. The launcher's switch is the truth of what
runs; where the record says otherwise, the record is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.update.launcher import NOT_IN_TIME, SLOTS, Switch
from edgesdk_agent.update.record import MOST_FAILED, Deadline, Failure, Release, Step, UpdateRecord
from edgesdk_targets.errors import Downgrade, InputError

# A step that was begun anew by so many starts of the system is over: else a device that reboots often would never end it.
MOST_BOOTS = 8
# What a shadow run takes beside its own time; and how long what it promoted waits to be asked for.
_SHADOW_BEGINS_S, _SHADOW_WAITS_S = 600.0, 14 * 86400.0
_ACTIVE: tuple[Step, ...] = (Step.DOWNLOADING, Step.VERIFIED, Step.STAGED, Step.TRIAL)


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: seconds of a clock that runs since the system was started, and which of its runs this is."""

    boot: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each step may take, in seconds; a trial also by how many starts."""

    downloading_s: float = 6 * 3600
    verified_s: float = 1800
    staged_s: float = 3600
    trial_s: float = 600
    trial_starts: int = 3

    def of(self, step: Step) -> float:
        return {
            Step.DOWNLOADING: self.downloading_s, Step.VERIFIED: self.verified_s,
            Step.STAGED: self.staged_s, Step.TRIAL: self.trial_s,
        }[step]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """What the launcher is asked for; `hot`: the program that runs takes the slot over."""

    do: Literal["begin", "try", "confirm", "give_up", "damaged"]
    slot: str
    id: str
    why: str = ""
    hot: bool = False


def offered(
    record: UpdateRecord,
    switch: Switch,
    release: Release,
    now: Moment,
    limits: Limits,
    address: str = "",
    beside: Release | None = None,
    shadow: ShadowPlan | None = None,
) -> UpdateRecord:
    """Begin an update, or say why not; what is under way or runs already changes nothing.

    Args:
        beside: what the active slot holds beside what it is named by, as for `observed`.
        shadow: comes before the trial. Offered without it, what waits after one, or for its end, goes on at once.

    Raises:
        InputError: another update is under way, no launcher runs here, or this content failed here before.
        Downgrade: the release is not above the highest that was confirmed here.
    """
    if record.step in _ACTIVE and record.release is not None:
        if record.release.id == release.id:
            same = record
            if record.shadow is not None and shadow is None:
                same = record.but(shadow=None)
                if record.step is Step.STAGED:
                    return _at(same, Step.STAGED, now, limits)
            # It may be to be had elsewhere by now, such as on a stick.
            return same.but(address=address) if record.step is Step.DOWNLOADING else same
        raise InputError(
            f"{_named(record.release)} is under way ({record.step.value}).", hint="Wait for its end, or abort it."
        )
    if not switch.active:
        raise InputError("This device has no slots yet.", hint="Install the agent with its launcher.")
    if release.id in {switch.id, "" if beside is None else beside.id} and switch.trial is None:
        return record
    if (failure := record.failure_of(release.id)) is not None:
        raise InputError(
            f"{_named(release)} failed here ({failure.step.value}): {failure.why}", hint="Offer one with other content."
        )
    # What ran and was damaged may come again: it is what the floor stands for.
    if release.number < (floor := record.floor_of(release.kind)) + (not switch.damaged):
        raise Downgrade(
            f"{_named(release)} is release {release.number}; this device has confirmed {floor}.",
            hint="Sign it again with a higher release, `edgesdk bundle sign --again`, if you mean it.",
        )
    begun = _begun(record, switch, release).but(address=address, back=False, shadow=shadow)
    return _at(begun, Step.DOWNLOADING, now, limits)


def return_asked(record: UpdateRecord, switch: Switch, why: str, now: Moment, limits: Limits) -> UpdateRecord:
    """Begin the way back to the release before, which is still in the other slot and has proven itself here.

    Raises:
        InputError: an update is under way, or there is nothing to return to.
    """
    told = "an update is under way" if record.step in _ACTIVE else "there is no release before this one"
    if record.step in _ACTIVE or record.previous is None or record.confirmed is None:
        raise InputError(f"This device cannot go back: {told}.", hint="Offer a bundle instead.")
    if (failure := record.failure_of(record.previous.id)) is not None:
        raise InputError(f"{_named(record.previous)} failed here: {failure.why}", hint="Offer a bundle instead.")
    left = _with_failure(record, record.confirmed.id, Step.CONFIRMED, why)
    return _at(_begun(left, switch, record.previous).but(back=True), Step.STAGED, now, limits)


def passed(record: UpdateRecord, step: Step, now: Moment, limits: Limits) -> UpdateRecord:
    """Note that the step came to its end: downloading is followed by verified, and that by staged."""
    if record.step is not step:
        return record
    if step is Step.DOWNLOADING:
        # From here on the other slot is written, and what was there is no way back any more.
        return _at(record.but(previous=None), Step.VERIFIED, now, limits)
    return _at(record, Step.STAGED, now, limits)


def lost(record: UpdateRecord, now: Moment, limits: Limits) -> UpdateRecord:
    """Fetch again what was verified and is no longer there."""
    return _at(record, Step.DOWNLOADING, now, limits) if record.step in {Step.VERIFIED, Step.STAGED} else record


def shadowed(record: UpdateRecord, said: ShadowSummary, now: Moment, limits: Limits) -> UpdateRecord:
    """Note what a shadow run said: the trial follows, or waits to be asked for, or the update ends.

    Nothing is held against a release that is not promoted: another answer than before may be the better one, and whoever sees
    the reasons may offer it without a shadow run.
    """
    if record.step is not Step.STAGED or record.shadow is None:
        return record
    plan, record = record.shadow, record.but(shadowed=said)
    if said.verdict != "promote":
        return record.but(step=Step.IDLE, deadline=None, why=said.in_words()[:1024])
    if plan.then == "wait":
        return record.but(deadline=deadline_in(_SHADOW_WAITS_S, now))
    return _at(record.but(shadow=None), Step.STAGED, now, limits)


def failed(record: UpdateRecord, why: str, *, final: bool) -> UpdateRecord:
    """End an update that did not come as far as a trial; the active slot runs on.

    Args:
        final: it is the release's fault, so that the same content is not taken again.
    """
    if record.step not in _ACTIVE or record.step is Step.TRIAL or record.release is None:
        return record
    ended = record.but(step=Step.IDLE, deadline=None, why=why[:1024])
    return _with_failure(ended, record.release.id, record.step, why) if final else ended


def observed(
    record: UpdateRecord,
    switch: Switch,
    held: Release | None,
    now: Moment,
    limits: Limits,
    beside: Release | None = None,
) -> UpdateRecord:
    """Bring the record to what the launcher did; to be asked before anything else after a start.

    Args:
        held: what the active slot is named by in its own file; beside: the agent of a bundle's slot, the bundle of an agent's.
    """
    release, trial = record.release, switch.trial
    if trial is None and held is not None and held.id == switch.id:
        if record.untried or _took_over_untried(record, switch):
            record = _runs_untried(record, switch)
        else:
            # Also what mends a record that was lost: what runs without a trial has been confirmed.
            record = _gone_over(_confirmed(record, held, beside), record.confirmed, switch)
    if release is None or record.step not in {Step.STAGED, Step.TRIAL}:
        return record
    if trial is not None and trial.id == release.id:
        return record if record.step is Step.TRIAL else _at(record, Step.TRIAL, now, limits)
    if switch.ended_id == release.id and not switch.kept and switch.order > record.after:
        # What was not confirmed in time may have waited for a broker or a camera: that is not its own fault. Nor is it
        # where somebody aborted it, which `why` says before the trial is over.
        late = switch.why == NOT_IN_TIME
        why = f"{switch.why}: {record.waited}" if late and record.waited else record.why or switch.why
        return _rolled_back(record, why, final=not (record.back or record.why or late))
    if switch.id == release.id:
        return record.but(step=Step.CONFIRMED, deadline=None, why="")
    if record.step is Step.TRIAL:
        return _rolled_back(record, "the launcher knows nothing of its trial", final=False)
    return record


def order_for(
    record: UpdateRecord, switch: Switch, *, healthy: bool = False, unfit: str = "", hot: bool = False
) -> Order | None:
    """Return what the launcher is to be asked for now.

    Args:
        healthy: the trial's conditions are met; unfit: why they cannot be.
        hot: this program can take over what is staged.
    """
    release, trial = record.release, switch.trial
    if trial is not None and (release is None or trial.id != release.id or record.step is not Step.TRIAL):
        return Order("give_up", trial.slot, trial.id, "nobody knows of this trial")
    if release is None or not record.slot:
        return None
    if record.step is Step.STAGED and trial is None and record.shadow is None:
        return Order("try", record.slot, release.id, hot=hot)
    # Who aborts a trial is not to be overtaken by its being found healthy: both orders would have the same number.
    if record.step is Step.TRIAL and (why := record.why or unfit):
        return Order("give_up", record.slot, release.id, why)
    if record.step is Step.TRIAL and healthy:
        return Order("confirm", record.slot, release.id)
    return None


def in_time(record: UpdateRecord, now: Moment) -> tuple[UpdateRecord, str]:
    """Return the record, its deadline counted on after a new start of the system, and what is over where it is."""
    deadline = record.deadline
    if deadline is None:
        return record, ""
    counted, late = counted_on(deadline, now)
    return record.but(deadline=counted), f"{record.step.value} {late}" if late else ""


def counted_on(deadline: Deadline, now: Moment) -> tuple[Deadline, str]:
    """Return a deadline, begun anew after a new start of the system, and how its time is over; empty while it is not."""
    if deadline.boot == now.boot:
        return deadline, f"took longer than {deadline.lasts_s:g} s" if now.at_s >= deadline.until_s else ""
    if deadline.boots + 1 > MOST_BOOTS:
        return deadline, f"was not over after {MOST_BOOTS} starts of the system"
    return deadline_in(deadline.lasts_s, now).model_copy(update={"boots": deadline.boots + 1}), ""


def deadline_in(lasts_s: float, now: Moment) -> Deadline:
    """Return the deadline of what may last so long from now on."""
    return Deadline(boot=now.boot, until_s=now.at_s + lasts_s, lasts_s=lasts_s)


def _at(record: UpdateRecord, step: Step, now: Moment, limits: Limits) -> UpdateRecord:
    lasts_s = limits.of(step)
    if step is Step.STAGED and record.shadow is not None:
        lasts_s = record.shadow.lasts_s + _SHADOW_BEGINS_S
    return record.but(step=step, deadline=deadline_in(lasts_s, now))


def _begun(record: UpdateRecord, switch: Switch, release: Release) -> UpdateRecord:
    return record.but(
        release=release,
        slot=_other(switch.active),
        after=switch.order,
        why="",
        waited="",
        before_p95_ms={},
        before_results={},
        untried=False,
        shadow=None,
        shadowed=None,
    )


def _confirmed(record: UpdateRecord, held: Release, beside: Release | None) -> UpdateRecord:
    """The floors are raised here and nowhere else: by what runs, and only once its trial is over."""
    same = record.confirmed is not None and record.confirmed.id == held.id
    highest = {one.kind: max(record.floor_of(one.kind), one.number) for one in (held, beside) if one is not None}
    return record.but(
        confirmed=held,
        previous=record.previous if same else record.confirmed,
        floor=highest.get("bundle", record.floor),
        agent_floor=highest.get("agent", record.agent_floor),
    )


def _gone_over(record: UpdateRecord, before: Release | None, switch: Switch) -> UpdateRecord:
    """Note that the launcher left a slot that could not be read any more: what was in it is no way back."""
    if not switch.damaged or before is None or before == record.confirmed:
        return record
    record = record.but(previous=None)
    if record.step in _ACTIVE:
        # Its slot runs now. Nothing of it was written there yet, else the launcher could not have gone over.
        return record.but(slot=switch.damaged)
    return record.but(step=Step.ROLLED_BACK, release=before, slot=switch.damaged, back=False, why=switch.why[:1024])


def _took_over_untried(record: UpdateRecord, switch: Switch) -> bool:
    """Say whether the launcher went over to what was staged and never tried, as the disk lost what ran."""
    staged = record.step is Step.STAGED and record.release is not None and record.release.id == switch.id
    return staged and bool(switch.damaged) and not record.back


def _runs_untried(record: UpdateRecord, switch: Switch) -> UpdateRecord:
    """Note that what runs has shown nothing: no floor rises by it, and nothing is a way back."""
    why = f"{switch.why}; what was staged runs untried"[:1024]
    ended = record.but(step=Step.IDLE, deadline=None, why=why) if record.step is Step.STAGED else record
    return ended.but(untried=True, confirmed=None, previous=None)


def _rolled_back(record: UpdateRecord, why: str, *, final: bool) -> UpdateRecord:
    ended = record.but(step=Step.ROLLED_BACK, deadline=None, why=why[:1024])
    if not final or record.release is None:
        return ended
    return _with_failure(ended, record.release.id, Step.TRIAL, why)


def _with_failure(record: UpdateRecord, release_id: str, step: Step, why: str) -> UpdateRecord:
    others = [one for one in record.failed if one.id != release_id]
    failure = Failure(id=release_id, step=step, why=why[:1024])
    return record.but(failed=(*others, failure)[-MOST_FAILED:])


def _other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def _named(release: Release) -> str:
    return f"{release.name} {release.version}"
