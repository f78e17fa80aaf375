"""Let another variant, or another bundle, take over a running pipeline, and the first one again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from edgesdk_targets.model import Model, load_model
from edgesdk_targets.probe import ProbeLimits
from edgesdk_targets.session import SessionOptions, Spin

log = logging.getLogger(__name__)


class Swappable(Protocol):
    """What is asked of a pipeline."""

    def swap_model(self, model: Model, timeout_s: float = ...) -> None:
        """Let another model take over between two frames."""
        ...


class ModelSwap:
    """Swaps the model of one pipeline.

    Args:
        pipeline: it runs there.
        first: the model of the start; it stays loaded.
        bundle: it is in.
        threads: of one inference, where the user set them; 0 otherwise.
        spin: as in `SessionOptions`.
        probe_s: how long a variant is tried in a process of its own; 0 does not try.
        on_taken: is told the model that took over.
        held: a `with` block in which nobody else changes the model.
    """

    def __init__(
        self,
        pipeline: Swappable,
        first: Model,
        bundle: Path,
        *,
        threads: int = 0,
        spin: Spin = "within",
        probe_s: float = 60.0,
        on_taken: Callable[[Model], None],
        held: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._pipeline = pipeline
        self._first = first
        self._bundle = bundle
        self._options = SessionOptions(threads=threads, spin=spin)
        self._probe_s = probe_s
        self._on_taken = on_taken
        self._held = held

    def begin_with(self, first: Model, bundle: Path) -> None:
        """Go on from another model, which runs now; to be called while the model is held."""
        self._first = first
        self._bundle = bundle

    def __call__(self, bundle: str, variant: str) -> AbstractContextManager[object]:
        """Let a model take over, and return what closes it.

        Args:
            bundle: a path; empty is the bundle of the start.
            variant: empty is the best one for this host. Where both are empty it is the model of the start.

        Raises:
            EdgeError: it does not load, or the one before does not finish.
        """
        with self._held():
            return self._changed(bundle, variant)

    def _changed(self, bundle: str, variant: str) -> AbstractContextManager[object]:
        if not bundle and not variant:
            self._pipeline.swap_model(self._first)
            self._on_taken(self._first)
            return nullcontext()
        model = load_model(
            bundle or self._bundle,
            variant=variant or None,
            options=replace(self._options, streams=self._first.lanes),
            probe=ProbeLimits(phase_s=self._probe_s) if self._probe_s else False,
        )
        if self._first.weak_from is not None:
            model.keep_weak(self._first.weak_from)
        try:
            self._pipeline.swap_model(model)
        except BaseException:
            model.close()
            raise
        log.info("Runs %s by %s", model.variant.id, model.runtime.value)
        self._on_taken(model)
        return model
