"""Load the configuration's model the way that is best on this device.

What the user sets himself (variant, threads, streams, pin) is kept, and only the rest is tuned. Whatever comes of tuning,
the agent starts: where the tuned variant does not load, the bundle's order decides.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

from edgesdk_agent.config.camera import CameraSection
from edgesdk_agent.config.pipeline import PipelineSection
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.config.then import ThenSection
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.core_claim import CoreClaim, claim_cores
from edgesdk_targets.model import Model
from edgesdk_targets.probe import ProbeLimits
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.tuning.check_cores import check_cores
from edgesdk_targets.tuning.grid import Given
from edgesdk_targets.tuning.setting import Hint
from edgesdk_targets.tuning.tune import TunedOptions, tuned_options, untuned_options
from edgesdk_targets.tuning.tune_options import PATIENCE_S, TuneOptions
from edgesdk_targets.tuning.tuned import BUDGET_S
from edgesdk_targets.tuning.tuned_loading import load_tuned

log = logging.getLogger(__name__)

_USUAL_FPS = 30.0
# A device starts often, and alike.
_KEPT = SessionOptions(keep_compiled=True)
# Its streams are decided, so that little is open; seconds.
_SECOND_BUDGET_S = 3.0


class _Asked(NamedTuple):
    """Which of a bundle's variants are asked for, how long measuring them may take, and how that is told."""

    target: str | None
    variant: str | None
    budget_s: float = BUDGET_S
    told_as: str = "Tuned"


def load_tuned_model(config: AgentConfig, stack: ExitStack, on_import: Callable[[], None] | None = None) -> Model:
    """Load the model; it, its bundle and the claim on the cores are closed with `stack`.

    Args:
        on_import: as in `SessionOptions`.

    Raises:
        InputError: the configuration asks for more threads than this device can have.
        EdgeError: as `open_bundle` and `load_model`.
    """
    asked = config.pipeline
    said = "pipeline.threads {} and pipeline.streams {}"
    if warning := check_cores(asked.threads or 0, asked.streams or 0, said):
        log.warning("%s", warning)
    bundle = stack.enter_context(open_bundle(config.bundle))
    claim = _claim(config.pipeline, stack)
    wanted = _Asked(config.target or None, config.variant or None)
    tuned = _tuned(config, bundle, _given(config.pipeline, claim), replace(_KEPT, on_import=on_import), wanted)
    if claim is not None and not tuned.options.pin:
        claim.release()
    return stack.enter_context(_loaded(config, bundle, tuned, wanted))


def load_second_model(config: AgentConfig, then: ThenSection, first: Model, stack: ExitStack) -> Model:
    """Load the model of a chain that is asked about what the first one finds, on as many lanes; closed with `stack`.

    It is tuned as the first one is, with as many streams as that has lanes: each lane asks it in its turn. It is not pinned,
    as the first one's threads may be, on any of the cores.

    Raises:
        EdgeError: as `open_bundle` and `load_model`.
    """
    with open_bundle(then.bundle) as bundle:
        asked = _Asked(then.target or None, then.variant or None, _SECOND_BUDGET_S, "Then tuned")
        given = Given(config.pipeline.threads or 0, first.lanes)
        tuned = _tuned(config, bundle, given, _KEPT, asked)
        model = stack.enter_context(_loaded(config, bundle, tuned, asked))
    log.info("Then %s by %s", model.variant.id, model.runtime.value)
    return model


def hint_of(config: AgentConfig) -> Hint:
    """Say what the model is run for: what is asked for, else as many pictures as can be had where no camera may lose any."""
    asked = config.pipeline.hint
    return hint_of_cameras(config.cameras) if asked == "auto" else Hint(asked)


def hint_of_cameras(cameras: Iterable[CameraSection]) -> Hint:
    """Say what a model of these cameras is usually run for."""
    return Hint.THROUGHPUT if all(_loses_nothing(camera) for camera in cameras) else Hint.AGE


def _loses_nothing(camera: CameraSection) -> bool:
    if camera.mode != "auto":
        return camera.mode == "every_frame"
    if camera.live is not None:
        return not camera.live
    source = camera.source.reveal()
    # Unlike `Path.exists` it answers for an address that is longer than any file's name.
    return os.path.exists(source) and not source.startswith("/dev/")  # noqa: PTH110


def _claim(section: PipelineSection, stack: ExitStack) -> CoreClaim | None:
    """Claim the cores; who is told to pin does so anyway, and others see it."""
    claim = claim_cores() if section.pin != "off" else None
    return stack.enter_context(claim) if claim is not None else None


def _given(section: PipelineSection, claim: CoreClaim | None) -> Given:
    pins = {"on": (True,), "off": (False,), "auto": (False, True) if claim is not None else (False,)}
    return Given(section.threads or 0, section.streams or 0, pins[section.pin])


def _tuned(config: AgentConfig, bundle: Bundle, given: Given, base: SessionOptions, asked: _Asked) -> TunedOptions:
    hint = hint_of(config)
    if config.pipeline.tune == "off":
        return TunedOptions(asked.variant, untuned_options(hint, given, base), "")
    rates = [camera.detect_fps or camera.fps or _USUAL_FPS for camera in config.cameras]
    how = TuneOptions(
        asked.target,
        asked.variant,
        given,
        fps=max(rates),
        cameras=len(config.cameras),
        budget_s=asked.budget_s,
        patience_s=config.pipeline.probe_timeout_s or PATIENCE_S,
    )
    tuned = tuned_options(bundle, hint, how, options=base)
    cores = len(os.sched_getaffinity(0))
    log.info("%s for %s on %d cores: %s", asked.told_as, hint.value, cores, tuned.why)
    return tuned


def _loaded(config: AgentConfig, bundle: Bundle, tuned: TunedOptions, asked: _Asked) -> Model:
    patience_s = config.pipeline.probe_timeout_s
    probe = ProbeLimits(phase_s=patience_s) if patience_s else False
    return Model(load_tuned(bundle, tuned, target=asked.target, variant=asked.variant, probe=probe))
