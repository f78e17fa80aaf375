"""Run commands one after the other, in a thread of their own, each once, each answered.

`accepted` when a command is taken, then `done`; or `refused` at once, with the reason: an unknown verb (with the list of
those that are known), wrong arguments, a deadline that is over, a full queue. A repetition is answered as the first was.
Who offers a command never waits, and the pipeline knows nothing of all this.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.memory import CommandMemory, Remembered
from edgesdk_agent.commands.refusals import Kind
from edgesdk_agent.commands.replies import Replies
from edgesdk_agent.commands.verb import Arguments, Verb
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.field_problems import closest, field_problems
from edgesdk_targets.messages import Command

log = logging.getLogger(__name__)

# How often what others have to do on this thread is looked after.
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Due:
    """A command that waits, and when it is too late to begin it, monotonic seconds."""

    command: Command
    until: float


class CommandRunner:
    """The thread that runs commands, and its queue.

    Args:
        verbs: what can be done.
        controls: what verbs may touch.
        memory: which commands came before.
        replies: says the answers.
        refused: is told of each command that comes too late, or once more.
        room: how many commands may wait.
        tick: is called between commands, a few times a second, on the same thread: what is on trial is watched there.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        verbs: Mapping[str, Verb],
        controls: Controls,
        memory: CommandMemory,
        replies: Replies,
        refused: Callable[[Kind, str], None],
        *,
        room: int = 16,
        tick: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verbs = verbs
        self._controls = controls
        self._memory = memory
        self._replies = replies
        self._refused = refused
        # None only wakes the thread, so that it sees that it is to end.
        self._waiting: queue.Queue[Due | None] = queue.Queue(room)
        self._jobs: queue.Queue[Callable[[], object]] = queue.Queue(room)
        self._tick = tick
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-commands", daemon=True)

    def start(self) -> None:
        """Answer what the last end of the process cut off, and begin to take commands."""
        self._thread.start()

    def request_stop(self) -> None:
        """Begin nothing more, and return at once."""
        self._stopping.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Begin nothing more, and wait for the command that runs; what waits is refused."""
        self.request_stop()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def offer(self, command: Command, seconds_left: float) -> None:
        """Take a command, or refuse it; never waits."""
        self._counts["offered"] += 1
        try:
            self._waiting.put_nowait(Due(command, self._clock() + seconds_left))
        except queue.Full:
            self._refuse(command.id, "busy", "Too many commands wait; send it again later.")

    def soon(self, job: Callable[[], object]) -> bool:
        """Have something else done on this thread, between two commands; False where there is no room."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def counts(self) -> dict[str, int]:
        """Return how many commands came, were done, failed, were repetitions, or were refused, by reason."""
        return dict(self._counts)

    # --- on the thread

    def _run(self) -> None:
        self._guarded(self._answer_all_cut_off)
        while not self._stopping.is_set():
            try:
                due = self._waiting.get(timeout=_TICK_S)
            except queue.Empty:
                due = None
            self._guarded(partial(self._turn, due))
        while not self._waiting.empty():
            self._guarded(partial(self._refuse_at_end, self._waiting.get_nowait()))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the thread's top: a device that can be steered no more cannot be mended from afar
            self._counts["broken"] += 1
            log.exception("A command could not be handled")

    def _answer_all_cut_off(self) -> None:
        for cut_off in self._memory.begun():
            # One that cannot be answered must not keep the others from it.
            self._guarded(partial(self._answer_cut_off, cut_off))

    def _turn(self, due: Due | None) -> None:
        if self._stopping.is_set():
            self._refuse_at_end(due)
            return
        if due is not None:
            self._take(due)
        while not self._jobs.empty():
            self._jobs.get_nowait()()
        if self._tick is not None:
            self._tick()

    def _refuse_at_end(self, due: Due | None) -> None:
        if due is not None:
            self._refuse(due.command.id, "busy", "The agent stops; send it again later.")

    def _answer_cut_off(self, cut_off: Remembered) -> None:
        verb = self._verbs.get(cut_off.verb)
        if verb is not None and verb.ends:
            over = cut_off.model_copy(update={"state": "over", "ok": True, "message": "Started again."})
        else:
            message = "The agent ended while it ran; what it had done by then is done."
            over = cut_off.model_copy(update={"state": "over", "code": "interrupted", "message": message})
        self._memory.note(over)
        self._repeat(over)

    def _take(self, due: Due) -> None:
        command = due.command
        known = self._memory.get(command.id)
        if known is not None:
            if known.asked not in ("", _asked(command)):
                # Answered as the first it would say of this one that it was done.
                text = f"The id is another command's, {known.verb}; give this one an id of its own."
                self._refuse(command.id, "arguments", text)
                return
            self._counts["repeated"] += 1
            late = self._clock() >= due.until
            when = " after its deadline" if late else ""
            self._refused(
                "replayed" if late else "repeated", f"{_named(command)} came once more{when}, and was not done again."
            )
            self._repeat(known)
            return
        if self._clock() >= due.until:
            self._refused("expired", f"{_named(command)} came after its deadline, and was not begun.")
            self._refuse(command.id, "expired", "Its deadline is over; it was not begun.")
            return
        verb = self._verbs.get(command.verb)
        if verb is None:
            meant = closest(command.verb, sorted(self._verbs))
            hint = f" Did you mean {meant!r}?" if meant else ""
            self._refuse(
                command.id, "unknown", f"There is no verb {command.verb!r}.{hint}", verbs=", ".join(sorted(self._verbs))
            )
            return
        try:
            arguments = verb.arguments.model_validate(command.arguments)
        except ValidationError as error:
            problems = " ".join(problem.sentence for problem in field_problems(verb.arguments, error)[:4])
            self._refuse(command.id, "arguments", f"{verb.name}: {problems}")
            return
        self._do(command, verb, arguments)

    def _do(self, command: Command, verb: Verb, arguments: Arguments) -> None:
        one = Remembered(id=command.id, verb=verb.name, asked=_asked(command))
        self._memory.note(one)
        self._replies(command.id, "accepted", ok=True)
        log.info("Command %s: %s", command.id, verb.name)
        try:
            data = verb.run(self._controls, arguments)
        except EdgeError as error:
            over = one.model_copy(
                update={"state": "over", "code": error.code, "message": f"{error.message} {error.hint}".strip()}
            )
            self._counts["failed"] += 1
        except Exception as error:  # a verb's border: its answer is that it failed
            log.exception("Command %s failed", verb.name)
            message = f"{verb.name} failed: {type(error).__name__}; see `logs`."
            over = one.model_copy(update={"state": "over", "code": "failed", "message": message})
            self._counts["failed"] += 1
        else:
            self._counts["done"] += 1
            if verb.ends:
                # Whether it was done shows after the start.
                return
            over = one.model_copy(update={"state": "over", "ok": True, "data": data})
        log.info("Command %s: %s", command.id, "done" if over.ok else f"failed ({over.code}): {over.message}")
        self._replies(command.id, "done", ok=over.ok, code=over.code, message=over.message, data=dict(over.data))
        self._memory.note(over)

    def _repeat(self, known: Remembered) -> None:
        if known.state == "begun":
            self._replies(known.id, "accepted", ok=True)
            return
        self._replies(known.id, "done", ok=known.ok, code=known.code, message=known.message, data=dict(known.data))

    def _refuse(self, command_id: str, code: str, message: str, **data: str) -> None:
        self._counts[f"refused_{code}"] += 1
        self._replies(command_id, "refused", ok=False, code=code, message=message, data=dict(data))


def _named(command: Command) -> str:
    return f"The command {command.verb} ({command.id})"


def _asked(command: Command) -> str:
    text = json.dumps([command.verb, command.arguments], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
