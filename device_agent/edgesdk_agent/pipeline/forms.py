"""The ways to use a pipeline: `with`, `for`, and both under asyncio.

A loop over a pipeline that was not started starts it, and stops it at its end, however it ends.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.pipeline.result_queue import ResultQueue
from edgesdk_targets.errors import EdgeError, InputError

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)


class PipelineForms(ABC):
    """What `with` and `for` do, over what a pipeline can do."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether `start` was called."""

    @abstractmethod
    def start(self) -> Self:
        """Start the threads."""

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end."""

    @abstractmethod
    def stop(self, timeout_s: float = 10.0) -> FrameStats:
        """End the threads."""

    @abstractmethod
    def _to_loop(self) -> ResultQueue:
        """Return the queue that a loop takes from; InputError where results go elsewhere."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except EdgeError as failure:
            if error is None:
                raise
            if failure is not error:
                log.warning("while stopping: %s", failure.message)

    async def __aenter__(self) -> Self:
        import asyncio  # by who uses it: an agent does not, and starts sooner without

        try:
            return await asyncio.to_thread(self.start)
        except asyncio.CancelledError:
            # The thread is still at it, and nobody will leave the block.
            with suppress(EdgeError):
                await asyncio.shield(asyncio.to_thread(self.stop))
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import asyncio

        # A cancelled task still has to see the pipeline's threads end; the event loop goes on meanwhile.
        await asyncio.shield(asyncio.to_thread(self.__exit__, kind, error, traceback))

    def __iter__(self) -> Iterator[FrameResult]:
        """Take the results in a loop, until the last one.

        Raises:
            InputError: they go to `on_result`, or another loop takes them or took them to the end.
            EdgeError: what ended the pipeline, after the results that it had given.
        """
        return self._iterate(self._to_loop())

    def aiter(self) -> AsyncIterator[FrameResult]:
        """Take the results in an `async for` loop, until the last one; the event loop never waits.

        To leave it early, cancel its task or use `contextlib.aclosing`; the pipeline's threads end behind it.

        Raises:
            InputError: they go to `on_result`, or another loop takes them or took them to the end.
            EdgeError: what ended the pipeline, after the results that it had given.
        """
        return self._iterate_async(self._to_loop())

    def __aiter__(self) -> AsyncIterator[FrameResult]:
        return self.aiter()

    def _iterate(self, results: ResultQueue) -> Iterator[FrameResult]:
        starts, left = not self.started, False
        _begin(results)
        try:
            if starts:
                self.start()
            while (result := results.take()) is not None:
                yield result
            self.wait()
        except GeneratorExit:
            left = True
            raise
        finally:
            _end(results)
            if starts:
                self._stop_after_loop(left)

    async def _iterate_async(self, results: ResultQueue) -> AsyncIterator[FrameResult]:
        import asyncio

        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # A loop that was closed meanwhile has nobody to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        starts, left = not self.started, False
        _begin(results)
        results.on_change(wake)
        try:
            if starts:
                await asyncio.to_thread(self.start)
            ended = False
            while not ended:
                changed.clear()
                result, ended = results.poll()
                if result is not None:
                    yield result
                elif not ended:
                    await changed.wait()
            await asyncio.to_thread(self.wait)
        except (GeneratorExit, asyncio.CancelledError):
            left = True
            raise
        finally:
            results.on_change(None)
            _end(results)
            if starts:
                await asyncio.shield(asyncio.to_thread(self._stop_after_loop, left))

    def _stop_after_loop(self, left: bool) -> None:
        """Stop; where the loop was left early, there is nobody any more who would be told an error."""
        try:
            self.stop()
        except EdgeError as failure:
            if not left:
                raise
            log.warning("while stopping: %s", failure.message)


def _begin(results: ResultQueue) -> None:
    if results.readers:
        raise InputError("A loop takes this pipeline's results already.", hint="Hand them on from that loop.")
    results.readers += 1


def _end(results: ResultQueue) -> None:
    results.readers -= 1
    results.reader = None
