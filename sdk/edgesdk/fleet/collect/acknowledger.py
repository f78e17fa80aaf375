"""Tells devices what is stored of them, after it is; the rules of when are those of `watermark`.

One task says one word after another and waits where the broker does not take more. What is to be said meanwhile is not
queued: a device's next word holds everything of the one before.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edgesdk.fleet.collect.watermark import Decision, Told, Word, decide
from edgesdk.fleet.store.batch import Stream
from edgesdk.fleet.store.coverage import Coverage

# Streams of which we know what they were told. One that is forgotten is told once more when it speaks.
_REMEMBERED_STREAMS = 20_000

# While there is no connection. What the broker kept for us comes before it has confirmed that we listen, and is stored by then.
_SAY_AGAIN_AFTER_S = 0.5

Say = Callable[[Stream, Word], Awaitable[bool]]


@dataclass(slots=True)
class _Line:
    """One stream: what is committed of it, and what its device was told."""

    coverage: Coverage
    told: Told = field(default_factory=Told)
    repeat: bool = False


class Acknowledger:
    """Says a word to a device when it is due.

    Args:
        say: sends one word, and waits where there is no room; False where it cannot be sent now: it is said later.
        clock: monotonic seconds.
    """

    def __init__(self, say: Say, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lines: OrderedDict[Stream, _Line] = OrderedDict()
        # Streams of which something is to be said, now or later.
        self._open: dict[Stream, None] = {}
        self._news = asyncio.Event()
        self.said = 0

    def note(self, coverage: Mapping[Stream, Coverage], repeated: Iterable[Stream]) -> None:
        """Take what a commit changed."""
        for stream, now in coverage.items():
            line = self._lines.get(stream)
            if line is None:
                line = self._lines[stream] = _Line(now)
            line.coverage = now
            self._lines.move_to_end(stream)
            self._open[stream] = None
        for stream in repeated:
            self._lines[stream].repeat = True
        while len(self._lines) > _REMEMBERED_STREAMS:
            forgotten, _ = self._lines.popitem(last=False)
            self._open.pop(forgotten, None)
        self._news.set()

    async def run(self) -> None:
        """Say what is due, as long as it is not cancelled."""
        while True:
            self._news.clear()
            again_at = await self._say_due(self._clock())
            timeout = None if again_at == math.inf else max(0.0, again_at - self._clock())
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except asyncio.TimeoutError:
                continue

    async def say_all(self) -> None:
        """Say everything that is new, however short ago the last word was."""
        await self._say_due(math.inf, only_news=True)

    async def _say_due(self, now: float, *, only_news: bool = False) -> float:
        again_at = math.inf
        for stream in list(self._open):
            line = self._lines.get(stream)
            if line is None or (only_news and line.coverage.count == line.told.count):
                continue
            decision = decide(line.told, line.coverage, repeat=line.repeat, now=now)
            before = line.told
            # First, as it may be noted anew while the word waits for room.
            self._keep(stream, line, decision)
            again_at = min(again_at, decision.again_at)
            if decision.word is None:
                continue
            if await self._say(stream, decision.word):
                self.said += 1
            elif self._lines.get(stream) is line:
                line.told, line.repeat = before, True
                self._open[stream] = None
                again_at = min(again_at, now + _SAY_AGAIN_AFTER_S)
        return again_at

    def _keep(self, stream: Stream, line: _Line, decision: Decision) -> None:
        line.told = decision.told
        if decision.word is not None:
            line.repeat = False
        if decision.again_at == math.inf:
            self._open.pop(stream, None)
