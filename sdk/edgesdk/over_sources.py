"""What an application's models and chains share: results over a source of pictures, calls under asyncio, and their end."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edgesdk_targets.errors import InputError, SessionFailed

if TYPE_CHECKING:
    from edgesdk_agent.embedding import Pipeline, Source
    from edgesdk_agent.frame import FrameResult
    from edgesdk_targets.chain import Chain
    from edgesdk_targets.model import Model

Answer = TypeVar("Answer")
Loop = TypeVar("Loop")


class OverSources:
    """Beside the ground's model or chain, before it in the row of bases: `class Model(OverSources, GroundModel)`.

    Args:
        given: what the ground's class is made of.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Threads of its own for calls that wait for a lane, so that they take none of the application's; started by the first.
        self._waiting = ThreadPoolExecutor(self._ground().lanes, "edgesdk-acall")

    def stream(self, source: Source | Mapping[str, Source], **options: Any) -> Iterator[FrameResult]:
        """Run over a source, or several by name, and return its results in a loop; leaving the loop stops the threads.

        Args:
            options: those of `edgesdk.Pipeline`, such as `policy`, `keep_image` or `fps`.

        Raises:
            InputError: the source is unknown, or `on_result` is among the options.
            CameraLost: the camera does not answer, or stopped for good.
        """
        pipeline = self._pipeline(source, options)
        return _closing(iter(pipeline), pipeline)

    def astream(self, source: Source | Mapping[str, Source], **options: Any) -> AsyncIterator[FrameResult]:
        """Return the results as `stream` does, for `async for`."""
        pipeline = self._pipeline(source, options)
        return _closing(pipeline.aiter(), pipeline)

    def close(self) -> None:
        """Wait for the calls that are running, and give the runtime's memory back; a chain closes both its models."""
        self._waiting.shutdown(cancel_futures=True)
        super().close()  # type: ignore[misc]  # the ground's class comes after this one

    async def _ask(self, call: Callable[[], Answer]) -> Answer:
        try:
            asked = asyncio.get_running_loop().run_in_executor(self._waiting, call)
        except RuntimeError as error:  # what an executor says after `shutdown`
            raise SessionFailed("The model is closed.", hint="Load it again.") from error
        return await asked

    def _pipeline(self, source: Source | Mapping[str, Source], options: dict[str, Any]) -> Pipeline:
        if options.get("on_result") is not None:
            # Before a camera is opened, which nobody would close.
            hint = "Leave it out, or give it to `edgesdk.Pipeline`."
            raise InputError("Results are taken in this loop, and cannot go to `on_result` as well.", hint=hint)
        # The agent's half is imported by who uses a source: calling a model needs none of it.
        from edgesdk_agent.embedding import Pipeline

        return Pipeline(self._ground(), source, **options)

    def _ground(self) -> Model | Chain:
        return cast("Model | Chain", self)


def _closing(loop: Loop, pipeline: Pipeline) -> Loop:
    """Let go of the cameras also where the loop is never begun: then nothing else does."""
    weakref.finalize(loop, pipeline.request_stop).atexit = False
    return loop
