"""Runs turns: broker, receiver and guard around the programs that are measured.

A turn waits for a quiet machine first, and is repeated when others disturbed it; how much they took is kept with it. The
programs of one turn are started together, and begin together once all are loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from typing_extensions import Self

from edgesdk.fleet.broker import Broker
from pipeline.artifacts import Artifacts
from pipeline.contestants import Contestant, command_line, missing
from pipeline.load_guard import QUIET_SHARE, LoadGuard, Watch
from pipeline.program_process import await_ready, ended, last_words, started, tell_to_begin
from pipeline.receiver_process import ReceiverProcess
from pipeline.turn import Stream, Turn, stream_of

_ENDED_WITHIN_S = 180.0
_WARM_UP_S = 1.0


class Workshop:
    """What all turns share; use it in a `with` statement.

    Args:
        artifacts: the model's files.
        guard: judges the machine's other load, and has a disturbed turn run again.
    """

    def __init__(self, artifacts: Artifacts, guard: LoadGuard) -> None:
        self.artifacts = artifacts
        self.guard = guard
        self._warm: set[tuple[str, int, bool]] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._broker = self._stack.enter_context(Broker(port=0))
        self.broker_kind = self._broker.program.kind
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="edgesdk-pipeline-")))
        self._receiver = self._stack.enter_context(ReceiverProcess(self._address))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(
        self,
        contestant: Contestant,
        sources: Sequence[str],
        *,
        seconds: float | None = None,
        stage_ms: float = 0.0,
        witness: bool = False,
        guarded: bool = True,
    ) -> Turn:
        """Run one turn, again where it was disturbed.

        Args:
            sources: what is read: each copy of a program gets its own of several; each copy of the agent gets all of them.
            seconds: of a live run; None plays files to their end.
            stage_ms: how long an inference takes in all, as on a slow device; 0 is this machine as it is.
            witness: note the stamps at the agent's cameras.
            guarded: others' load would change what is measured; else it is run once, at once.
        """
        reason = missing(contestant)
        if reason:
            return Turn(contestant.name, (), (), 0, 0.0, False, 0.0, {}, reason)
        guard = self.guard if guarded else LoadGuard(0.0, attempts=1)
        self._warm_up(contestant, sources, seconds, guard)
        return guard.undisturbed(
            contestant.name,
            lambda: self._once(contestant, sources, seconds, stage_ms, witness),
            # What failed would fail again.
            lambda turn: 0.0 if turn.failure else turn.others_share,
        )

    def _warm_up(self, contestant: Contestant, sources: Sequence[str], seconds: float | None, guard: LoadGuard) -> None:
        """Let the agent find out what it finds out once about a machine, and keeps: it begins with an empty cache here."""
        key = (contestant.name, len(sources), seconds is None)
        if contestant.is_agent and key not in self._warm:
            self._warm.add(key)
            guard.wait_until_quiet()
            self._once(contestant, sources, seconds and _WARM_UP_S, 0.0, False)

    @property
    def _address(self) -> str:
        return f"{self._broker.address.host}:{self._broker.address.port}"

    def _once(
        self,
        contestant: Contestant,
        sources: Sequence[str],
        seconds: float | None,
        stage_ms: float,
        witness: bool,
    ) -> Turn:
        watch = Watch()
        notes = self._folder / "notes.json"
        notes.unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile("w+"))
            begun = time.monotonic()
            programs = [
                stack.enter_context(ended(started(contestant, words, log, self._folder)))
                for words in self._commands(contestant, sources, seconds, stage_ms, notes if witness else None)
            ]
            try:
                if not contestant.is_agent:
                    await_ready(programs)
                self._receiver.begin([program.pid for program in programs])
                if not contestant.is_agent:
                    tell_to_begin(programs)
                elif seconds and self._receiver.await_first():
                    # As a service is stopped: what is in flight is still delivered.
                    time.sleep(seconds)
                    for program in programs:
                        program.terminate()
                outputs = [program.communicate(timeout=_ENDED_WITHIN_S + (seconds or 0))[0] for program in programs]
                failed = any(program.returncode for program in programs)
            except (TimeoutError, subprocess.TimeoutExpired, OSError) as error:
                outputs, failed = [], True
                _say(f"{contestant.name}: {type(error).__name__}: {error}")
            share = watch.others_share()
            heard = self._receiver.end()
            log.seek(0)
            failure = f"it failed: {last_words(log.read())}" if failed else ""
        said = json.loads(notes.read_text("utf-8")) if notes.is_file() else {}
        if contestant.is_agent and outputs and outputs[0].strip() and not failure:
            said["summary"] = json.loads(outputs[0])
        return _turn(contestant, heard, said, share, begun, failure)

    def _commands(
        self,
        contestant: Contestant,
        sources: Sequence[str],
        seconds: float | None,
        stage_ms: float,
        notes: Path | None,
    ) -> list[list[str]]:
        shared: dict[str, str | None] = {"stage-ms": str(stage_ms)}
        if contestant.is_agent:
            if notes:
                shared["notes"] = str(notes)
            words = command_line(contestant, shared)
            cameras = [word for source in sources for word in ("--source", source)]
            own = ["run", "--json", "--quiet", "--bundle", str(self.artifacts.bundle)]
            own += ["--broker", f"mqtt://{self._address}", *cameras, *contestant.arguments]
            return [
                [*_core(contestant, copy), *words, "--", *own, "--name", f"ours{copy or ''}"]
                for copy in range(contestant.copies)
            ]
        shared |= {
            "broker": self._address,
            "artifacts": str(self.artifacts.folder),
            "bundle": str(self.artifacts.bundle),
        }
        shared |= {"notes": str(self._folder / "notes.json")}
        if seconds:
            shared |= {"live": None, "seconds": str(seconds)}
        return [
            command_line(contestant, {**shared, "name": f"{copy}", "source": sources[copy % len(sources)]})
            for copy in range(contestant.copies)
        ]


def _core(contestant: Contestant, copy: int) -> list[str]:
    """Return what holds a copy to a core of its own, where it is to have one."""
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[copy])] if contestant.core_each else []


def _turn(
    contestant: Contestant,
    heard: Mapping[str, Any],
    notes: Mapping[str, Any],
    share: float,
    begun: float,
    failure: str,
) -> Turn:
    streams = [stream_of(heard["topics"][name]) for name in sorted(heard["topics"])]
    for place, witnessed in enumerate(notes.get("cameras", ())):
        if place < len(streams):
            streams[place] = streams[place].stamped({int(seq): stamp for seq, stamp in witnessed})
    if not streams and not failure:
        failure = "no result came"
    first = min((stream.at[0] for stream in streams if len(stream.at)), default=begun)
    return Turn(
        contestant.name,
        streams,
        [np.array(timeline) for timeline in heard["cpu_s"].values()],
        sum(heard["peak_rss_bytes"].values()),
        share,
        share >= QUIET_SHARE,
        first - begun,
        notes,
        failure,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


__all__ = ["Stream", "Workshop"]
