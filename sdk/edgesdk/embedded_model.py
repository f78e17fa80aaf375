"""Models in somebody's own application: what the ground's can do, a source of pictures, and asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, overload

from edgesdk.over_sources import OverSources
from edgesdk_targets.calls import Picture
from edgesdk_targets.chain import Chain as GroundChain
from edgesdk_targets.loading import Loaded, check_known, load_variant
from edgesdk_targets.model import Model as GroundModel
from edgesdk_targets.results import Chained, Result

if TYPE_CHECKING:
    from edgesdk_targets.bundle.bundle import Bundle
    from edgesdk_targets.probe import ProbeLimits
    from edgesdk_targets.session import SessionOptions


class Model(OverSources, GroundModel):
    """A loaded variant of a bundle, called like a function; over a source with `model.stream(…)`; both under asyncio."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)

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
        return await self._ask(partial(self.__call__, image, camera=camera))


class Chain(OverSources, GroundChain):
    """A detector and a model that is asked about each detection, used as one; under asyncio, `await chain.acall(…)`.

        chain = edgesdk.Chain(edgesdk.load("cars.edgebundle"), edgesdk.load("plates.edgebundle"), classes=["car"], margin=0.2)

    Args:
        detector: answers with `Detections`.
        then: is asked about the part of the picture that each detection covers.
        rule: `classes`, `max_crops`, `margin`, `square`, `min_px`.

    Raises:
        InputError: the models cannot be chained, or a field of the rule is wrong.
    """

    def __init__(self, detector: GroundModel, then: GroundModel, **rule: Any) -> None:
        super().__init__(detector, then, **rule)

    @overload
    async def acall(self, image: Picture, *, camera: str = ...) -> Chained: ...  # type: ignore[overload-overlap]

    @overload
    async def acall(self, image: Sequence[Picture], *, camera: str = ...) -> list[Chained]: ...

    async def acall(self, image: Picture | Sequence[Picture], *, camera: str = "default") -> Chained | list[Chained]:
        """Answer as `chain(image)` does, while the event loop goes on; see `Model.acall`."""
        return await self._ask(partial(self.__call__, image, camera=camera))


def load(
    bundle: Bundle | str | Path,
    *,
    target: str | None = None,
    variant: str | None = None,
    options: SessionOptions | None = None,
    postprocess: Mapping[str, Any] | None = None,
    probe: bool | ProbeLimits = False,
    **unknown: NoReturn,
) -> Model:
    """Open a bundle and load the best variant that works on this host.

    Args:
        bundle: its path, its unpacked folder, or what `open_bundle` gave.
        target, variant: take only this target's variants, or this variant.
        options: threads and streams: `SessionOptions(threads=1, streams=2)`.
        postprocess: values that replace the bundle's own, such as `{"score_threshold": 0.3}`.
        probe: try each variant in a process of its own first, so that a runtime that crashes here is passed over.
        unknown: any other name is an error, which says what was meant.

    Raises:
        InputError: a name is not known, a value of `postprocess` is wrong, or the model does not take one picture.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    check_known(unknown)
    loaded = load_variant(bundle, target=target, variant=variant, options=options, postprocess=postprocess, probe=probe)
    return Model(loaded)
