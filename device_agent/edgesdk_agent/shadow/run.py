"""One shadow run, on a thread of its own: frames to the candidate and to a copy of the running model, and what becomes of it.

    pipeline ─ next_frame ─▶ run ─▶ candidate's process ─┐
                              ├──▶ control's process ────┴─▶ judge ─▶ summary

It asks for a frame only when it has nothing else to do, so nothing ever waits or piles up. Whatever it meets, the pipeline runs on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow.judge import Compared, Judge, Judgement, Limits
from edgesdk_agent.shadow.model_process import Bundled, Faulty, ModelProcess, NoRoom, ProcessLimits, Said, Stopped
from edgesdk_agent.shadow.next_frame import NextFrame, RunFrames
from edgesdk_agent.shadow.pace import Pace, PaceMarks
from edgesdk_agent.shadow.plan import ShadowPlan, ShadowSummary
from edgesdk_agent.shadow.summary import summary_of

log = logging.getLogger(__name__)

_FRAME_WITHIN_S = 0.5
_IDLE_S = 0.2
# After the device had no room, a new process is tried no sooner.
_AGAIN_S = 30.0
# A copy of the running model that fails so often before a frame is compared never will be a control.
_COPY_FAILS = 5
_STOP_S = 3.0


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    """How this device does it.

    Attributes:
        apart_s: frames that follow each other more closely count once; look_s: how often the device's state is looked at.
    """

    apart_s: float = 2.0
    look_s: float = 5.0
    process: ProcessLimits = field(default_factory=ProcessLimits)
    pace: PaceMarks = field(default_factory=PaceMarks)


@dataclass(frozen=True, slots=True)
class Pair:
    """Which two: the candidate, and the model that runs, by its digest; and what both are for."""

    candidate: Bundled
    running: Bundled
    digest: str
    task: str


class _CopyFaulty(NoRoom):
    """The copy of the running model is at fault, which says nothing of the candidate."""

    def __init__(self, error: Faulty) -> None:
        super().__init__(f"for the running model's copy, as {error}")


class ShadowRun:
    """Compare a candidate with the model that runs, until that is clear or its time is over.

    Args:
        lasts_s: what is left of the time.
        facts: of now; `age_p95_ms` since it was last asked.
    """

    def __init__(
        self,
        pair: Pair,
        plan: ShadowPlan,
        frames: NextFrame,
        facts: Callable[[], Facts],
        *,
        lasts_s: float,
        settings: ShadowSettings | None = None,
    ) -> None:
        self._pair, self._plan, self._shown, self._facts = pair, plan, frames, facts
        self._frames = RunFrames()
        self._settings = settings or ShadowSettings()
        self._judge = Judge(Limits(differ=plan.differ_of(pair.task), slower=plan.slower))
        self._pace = Pace(plan.share, self._settings.pace)
        self._lasts_s = lasts_s
        self._began = self._look_at = time.monotonic()
        self._memory: int | None = None
        self._asked = False
        self._stopping = threading.Event()
        self._ended: ShadowSummary | None = None
        self._thread = threading.Thread(target=self._run, name="edgesdk-shadow", daemon=True)

    @property
    def summary(self) -> ShadowSummary | None:
        """What came of it, once it has ended; nothing where it was stopped before."""
        return self._ended

    def start(self) -> None:
        """Begin."""
        # Here and not on its thread, so that of two runs the later one gets the frames.
        self._frames = self._shown.begin()
        self._thread.start()

    def stop(self) -> None:
        """End it, and its processes."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    # --- on its thread

    def _run(self) -> None:
        try:
            self._compare()
        except Stopped:
            return
        except Faulty as error:
            self._end("reject", str(error))
        except Exception as error:  # the thread's top: a shadow run that fails must not end what runs
            log.exception("The shadow run failed")
            self._end("hold", f"the shadow run itself failed: {type(error).__name__}")
        finally:
            self._frames.close()

    def _compare(self) -> None:
        fails = frames = 0
        while True:
            try:
                with ExitStack() as stack:
                    self._in_processes(stack)
                return
            except NoRoom as error:
                reason = f"no room: {error}"
                self._pace.paused[reason] += 1
                fails = fails + 1 if self._judge.frames == frames else 1
                fails, frames = fails if isinstance(error, _CopyFaulty) else 0, self._judge.frames
                if fails >= _COPY_FAILS:
                    self._end("hold", reason)
                    return
                log.info("shadow: %s; it is tried again", reason)
                if self._wait(_AGAIN_S):
                    return

    def _in_processes(self, stack: ExitStack) -> None:
        picture = self._frames.open()
        control: ModelProcess | None = None
        candidate: ModelProcess | None = None
        while not self._over():
            share = self._share()
            if not share:
                self._stopping.wait(_IDLE_S)
                continue
            if candidate is None:
                # Not before there is room for them.
                control = self._control(stack, picture)
                candidate = stack.enter_context(closing(self._process("candidate", self._pair.candidate, picture)))
                self._judge.begins_anew()
            assert control is not None  # noqa: S101  (both or none)
            self._one(candidate, control, share)

    def _process(self, what: str, model: Bundled, picture: int) -> ModelProcess:
        settings = self._settings
        return ModelProcess(what, model, picture, settings.apart_s, settings.process, self._stopping.is_set)

    def _control(self, stack: ExitStack, picture: int) -> ModelProcess:
        try:
            return stack.enter_context(closing(self._process("running model's copy", self._pair.running, picture)))
        except Faulty as error:
            raise _CopyFaulty(error) from error

    def _one(self, candidate: ModelProcess, control: ModelProcess, share: float) -> None:
        """Compare one frame, and leave the rest of the time to others."""
        began = time.monotonic()
        if not self._asked:
            # The next ones are left out, evenly spread but for what repeats itself in the scene. Asked once: a slow camera
            # takes longer to bring them than this waits at a time.
            self._frames.want(self._pair.digest, round((1 / share - 1) * (0.5 + (self._judge.frames * 0.618) % 1)))
            self._asked = True
        frame = self._frames.take(_FRAME_WITHIN_S)
        while (
            frame is None
            and not self._frames.problem
            and not self._over()
            and time.monotonic() - began < self._settings.look_s
        ):
            frame = self._frames.take(_FRAME_WITHIN_S)
        if self._frames.problem:
            self._asked = False
            raise NoRoom(self._frames.problem)
        if frame is None:
            return
        self._asked = False
        began = time.monotonic()
        turn = [candidate, control] if self._judge.frames % 2 else [control, candidate]
        said: dict[ModelProcess, Said] = {}
        for one in turn:
            try:
                said[one] = one.ask(frame)
            except Faulty as error:
                if one is control:
                    raise _CopyFaulty(error) from error
                raise
        mine, theirs = said[candidate], said[control]
        self._memory = mine.held_bytes
        self._judge.take(
            Compared(
                begins=mine.begins,
                camera=frame.camera,
                differs=mine.differs,
                classes=mine.classes,
                control_differs=theirs.differs,
                times_s=(mine.took_s, theirs.took_s),
                memory_bytes=(mine.memory_bytes, theirs.memory_bytes),
            )
        )
        took = time.monotonic() - began
        self._rest(took * (1 / share - 1))

    def _rest(self, seconds: float) -> None:
        """Leave the device to others for so long, and go on looking how it is. Raises Stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._over():
            self._stopping.wait(min(left, self._settings.look_s))
            self._share()

    def _share(self) -> float:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + self._settings.look_s
            return self._pace.look(self._facts())
        return self._pace.share

    def _over(self) -> bool:
        """Say whether it has ended, and end it where it is clear or its time is over. Raises Stopped."""
        if self._stopping.is_set():
            raise Stopped
        if self._ended is not None:
            return True
        found = self._judge.judgement()
        ran = time.monotonic() - self._began
        if found.verdict == "reject" or (found.verdict == "promote" and ran >= min(self._plan.least_s, self._lasts_s)):
            self._end(found.verdict)
        elif ran >= self._lasts_s:
            self._end("hold", f"its {self._plan.lasts_s:g} s are over")
        return self._ended is not None

    def _wait(self, seconds: float) -> bool:
        """Wait, and return whether it has ended meanwhile. Raises Stopped."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._over():
                return True
            self._stopping.wait(_IDLE_S)
        return self._over()

    def _end(self, verdict: str, reason: str = "") -> None:
        found = self._judge.judgement()
        if reason:
            found = Judgement(None, (reason, *found.reasons), found.needs, found.rare)
        self._ended = summary_of(
            self._judge, found, verdict, seconds=time.monotonic() - self._began, memory_bytes=self._memory,
            paused=self._pace.paused,
        )  # fmt: skip
        log.info("shadow: %s", self._ended.in_words())
