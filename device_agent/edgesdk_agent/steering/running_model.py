"""The model in use, and how another takes its place: loaded and proven beside it, then between two frames.

The old model stays in use until the new one has shown that it answers as when it was built; whatever fails before that
leaves everything as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.steering.model_fit import check_fits
from edgesdk_agent.tuned_model import load_second_model, load_tuned_model
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import BadBundle, InputError, SessionFailed
from edgesdk_targets.messages import BundleName
from edgesdk_targets.model import Model

log = logging.getLogger(__name__)

_GOLDEN = "golden/golden.json"


class Swaps(Protocol):
    """A pipeline, as far as its model goes."""

    def swap_model(self, model: Model | Chain, timeout_s: float = 30.0) -> None:
        """Let another model take over between two frames."""


class RunningModel:
    """The model in use and all that is closed with it.

    Attributes:
        model: in use; previous: what was in use before it.
    """

    model: Model | Chain

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.previous = BundleName()

    def __enter__(self) -> RunningModel:  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bundle(self) -> BundleName:
        """Which bundle is in use."""
        return bundle_name(self.model)

    def load(self, config: AgentConfig, first: Callable[[ExitStack], Model]) -> Model | Chain:
        """Take on the model of the start, which `first` gives with what closes it.

        Raises:
            EdgeError: as `load_tuned_model` and `check_fits`.
        """
        self.model = _complete(config, first(self._stack), self._stack, prove=None)
        return self.model

    def differs(self, config: AgentConfig) -> bool:
        """Say whether the file of the bundle is another one by now, under the same name.

        Raises:
            EdgeError: it cannot be opened.
        """
        with open_bundle(config.bundle) as bundle:
            return bundle.digest != self.model.digest

    def _check_task(self, model: Model | Chain) -> None:
        now, then = self.model.manifest.task, model.manifest.task
        if now != then:
            # Rules, hooks and whoever reads the results were set up for the other one.
            raise InputError(
                f"{model.manifest.name} is for the task {then!r}, and {now!r} runs.",
                hint="Name it in the configuration, and restart the agent.",
            )

    def take_over(self, config: AgentConfig, pipeline: Swaps, announce: Callable[[BundleName], None]) -> bool:
        """Load and prove the configuration's model, and let it take over; no frame is lost.

        Returns whether what ran before has done its last frame.

        Args:
            announce: is told of the bundle before its first result comes.

        Raises:
            EdgeError: it cannot be loaded, gives other answers than when it was built, or does not go with the configuration; the
                old one goes on.
        """
        stack = ExitStack()
        with stack:
            model = _complete(config, load_tuned_model(config, stack), stack, prove=config.commands.require_golden)
            self._check_task(model)
            announce(bundle_name(model))
            try:
                pipeline.swap_model(model)
                still_busy = False
            except SessionFailed as error:
                # The new model has taken over all the same; the old one must not be closed under its last frame.
                log.warning("%s %s", error.message, error.hint)
                still_busy = True
            # From here on the new model is in use: it is closed at the end, and not here.
            kept = stack.pop_all()
        self.previous, old = self.bundle, self._stack
        self.model, self._stack = model, kept
        if still_busy:
            kept.push(old)
        else:
            old.close()
        log.info("%s %s runs now, by %s", model.manifest.name, model.manifest.version, model.runtime.value)
        return not still_busy


def bundle_name(model: Model | Chain) -> BundleName:
    """Return which bundle a model comes from."""
    return BundleName(name=model.manifest.name, version=model.manifest.version, digest=model.digest)


def _complete(config: AgentConfig, model: Model, stack: ExitStack, *, prove: bool | None) -> Model | Chain:
    """Prove one model for all cameras, and load the one that is asked about what it finds.

    Args:
        prove: by its golden set, where there is one (False) or in any case (True); None does not.
    """
    log.info("Runs %s by %s", model.variant.id, model.runtime.value)
    for name, reason in model.choice.rejected:
        # What was not asked for needs no reason; where it is tuning that chose, tuning has said why.
        if name not in model.choice.not_asked_for:
            log.info("Not %s: %s", name, reason)
    if prove is not None:
        _prove(str(config.bundle), model, required=prove)
    if config.events is not None and config.events.needs_objects:
        model.keep_weak(config.events.tracker.low_score)
    then = config.then
    if then is None:
        check_fits(config, model)
        return model
    second = load_second_model(config, then, model, stack)
    if prove is not None:
        _prove(str(then.bundle), second, required=prove)
    chain = Chain(model, second, **then.rule())
    check_fits(config, chain)
    return chain


def _prove(path: str, model: Model, *, required: bool) -> None:
    from edgesdk_targets.golden.check import check_golden

    with open_bundle(path) as bundle:
        if not required and _GOLDEN not in bundle.manifest.files:
            log.warning("%s has no golden set; it takes over unproven", path)
            return
        report = check_golden(bundle, model)
    if not report.passed:
        found = report.to_json()
        message = f"{model.manifest.name} {model.manifest.version} answers otherwise than when it was built"
        raise BadBundle(f"{message}: {found['diverged']}: {found['why']}", hint="Build it anew, for this device.")
