"""Models in somebody's own application: what the ground's can do, a source of pictures, and asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, overload

from edgesdk.over_sources import OverSources
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.calls import Picture
from edgesdk_targets.chain import Chain as GroundChain
from edgesdk_targets.errors import InputError
from edgesdk_targets.loading import Loaded, LoadOptions, check_known, load_variant
from edgesdk_targets.model import Model as GroundModel
from edgesdk_targets.results import Chained, Result

if TYPE_CHECKING:
    from edgesdk_targets.core_claim import CoreClaim
    from edgesdk_targets.probe import ProbeLimits
    from edgesdk_targets.session import SessionOptions

RunFor = Literal["latency", "throughput", "age"]
_HINTS: tuple[RunFor, ...] = get_args(RunFor)


class Model(OverSources, GroundModel):
    """A loaded variant of a bundle, called like a function; over a source with `model.stream(…)`; both under asyncio."""

    def __init__(self, loaded: Loaded, claim: CoreClaim | None = None) -> None:
        super().__init__(loaded)
        # On the cores that its threads are pinned to; no other model of this kind pins there meanwhile.
        self._claim = claim

    def close(self) -> None:
        """Wait for the calls that are running, and give the runtime's memory and its cores back."""
        super().close()
        if self._claim is not None:
            self._claim.release()

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
    hint: RunFor | None = None,
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
        hint: what the model is run for: the quickest answer, the most pictures a second, or the youngest results of a live
            camera. Variant, threads, streams and pinning are then those that are measured to be best on this machine: the
            first time that takes some seconds, and the answer is kept.
        target, variant: take only this target's variants, or this variant.
        options: threads and streams: `SessionOptions(threads=1, streams=2)`.
        postprocess: values that replace the bundle's own, such as `{"score_threshold": 0.3}`.
        probe: try each variant in a process of its own first, so that a runtime that crashes here is passed over.
        unknown: any other name is an error, which says what was meant.

    Raises:
        InputError: a name is not known, a value of `postprocess` is wrong, the model does not take one picture, or both `hint`
            and `options` are given.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    check_known(unknown)
    how = LoadOptions(target=target, variant=variant, options=options, postprocess=postprocess, probe=probe)
    if hint is None:
        return Model(load_variant(bundle, **how))
    if hint not in _HINTS:
        raise InputError(f"There is no hint {hint!r}.", hint=f"One of {', '.join(_HINTS)}.")
    if options is not None:
        raise InputError(
            "Both `hint` and `options` are given.", hint="A hint chooses threads and streams: leave one of them out."
        )
    from edgesdk_targets.tuning.setting import Hint
    from edgesdk_targets.tuning.tuned_loading import load_for

    with nullcontext(bundle) if isinstance(bundle, Bundle) else open_bundle(bundle) as opened:
        return Model(*load_for(opened, Hint(hint), **how))
