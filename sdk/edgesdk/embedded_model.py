"""A model in somebody's own application: what the ground's model can do, with asyncio and with a source of pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, overload

from edgesdk_targets.calls import Picture
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.loading import Loaded, LoadOptions, load_variant
from edgesdk_targets.model import Model as GroundModel
from edgesdk_targets.results import Result

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgesdk_targets.bundle.bundle import Bundle


class Model(GroundModel):
    """A loaded variant of a bundle, called like a function; also `await model.acall(…)` and `model.stream(…)`."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        # Threads of its own, so that waiting for a lane takes none of the application's. None is started before the first call.
        self._waiting = ThreadPoolExecutor(self.lanes, "edgesdk-acall")

    @overload
    async def acall(self, image: Picture, *, camera: str = ...) -> Result: ...  # type: ignore[overload-overlap]

    @overload
    async def acall(self, image: Sequence[Picture], *, camera: str = ...) -> list[Result]: ...

    async def acall(self, image: Picture | Sequence[Picture], *, camera: str = "default") -> Result | list[Result]:
        """Answer as `model(image)` does, while the event loop goes on.

        Cancelled while it waits, it is never run; cancelled while it runs, its answer is thrown away and the model is as usable
        as before.

        Raises:
            InputError: a picture cannot be used.
            SessionFailed: the runtime failed, or the model is closed.
        """
        ask = partial(self.__call__, image, camera=camera)
        try:
            asked = asyncio.get_running_loop().run_in_executor(self._waiting, ask)
        except RuntimeError as error:  # what an executor says after `close`
            raise SessionFailed("The model is closed.", hint="Load it again.") from error
        return await asked

    def close(self) -> None:
        """Wait for the calls that are running, and give the runtime's memory back."""
        self._waiting.shutdown(cancel_futures=True)
        super().close()


def load(bundle: Bundle | str | Path, **how: Unpack[LoadOptions]) -> Model:
    """Open a bundle and load the best variant that works on this host.

    Args:
        bundle: its path, its unpacked folder, or what `open_bundle` gave.
        how: the fields of `LoadOptions`: `target`, `variant`, `options`, `postprocess`, `probe`.

    Raises:
        InputError: a value of `postprocess` is wrong, or the model does not take one picture.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    return Model(load_variant(bundle, **how))
