"""The governor of one run of the agent, with its hands on the pipeline and on the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.governor.governor import Governor
from edgesdk_agent.governor.held_model import HeldModel
from edgesdk_agent.governor.ladder import USUAL_LADDER, Rung
from edgesdk_agent.governor.model_swap import ModelSwap
from edgesdk_agent.governor.pipeline_actuator import PipelineActuator
from edgesdk_agent.governor.usual_ladder import usual_ladder
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.monitor import Tell
from edgesdk_agent.tuned_model import hint_of
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import Model


class AgentGovernor:
    """Does less under strain, as the section `governor` says.

    Args:
        config: of the start.
        model: that runs.
        fps: returns the rates of the live cameras by name, as they are now.
        tell: reports each step.
        taken: is told a model that took over.

    Raises:
        InputError: the section names a camera or a variant that there is not; under strain it would be too late.
    """

    def __init__(
        self,
        config: AgentConfig,
        pipeline: Pipeline,
        model: HeldModel,
        fps: Callable[[], Mapping[str, float]],
        tell: Tell,
        taken: Callable[[Model], None],
    ) -> None:
        self._config = config
        self._swap: ModelSwap | None = None
        if isinstance(model.now, Model):
            self._swap = ModelSwap(
                pipeline,
                model.now,
                config.bundle,
                threads=config.pipeline.threads or 0,
                spin=hint_of(config).spin,
                probe_s=config.pipeline.probe_timeout_s,
                on_taken=taken,
                held=model.held,
            )
        section = config.governor
        check_names(config, model.now)
        self._actuator = PipelineActuator(pipeline, fps, section.important, self._swap, tell)
        settings = section.settings(config.health.age_budget_ms, _usual(config, model.now))
        self._governor = Governor(settings, self._actuator, tell)

    def look(self, facts: Facts) -> None:
        """Judge the facts, and take at most one step."""
        self._governor.look(facts)

    def counts(self) -> dict[str, int]:
        """Return the steps since the start."""
        return self._governor.counts()

    def status(self) -> dict[str, object]:
        """Return where it stands."""
        governor = self._governor
        return {
            "rung": governor.place,
            "gives_up": governor.in_force,
            "ladder": [rung.name for rung in governor.ladder],
        }

    def model_replaced(self, model: Model | Chain, bundle: Path, config: AgentConfig, *, idle: bool) -> None:
        """Go on with another model of the start; to be called with the model held.

        Args:
            config: in effect from now on.
            idle: what ran before has done its last frame.
        """
        if self._swap is not None and isinstance(model, Model):
            self._swap.begin_with(model, bundle)
        self._actuator.begin_again(close=idle)
        settings = config.governor.settings(config.health.age_budget_ms, _usual(config, model))
        self._governor.change_ladder(settings.ladder)

    def close(self) -> None:
        """Give back what was loaded; the pipeline must have ended."""
        self._actuator.close()


def check_names(config: AgentConfig, model: Model | Chain) -> None:
    """Refuse a camera or a variant that there is not. Raises InputError."""
    cameras = [camera.name for camera in config.cameras]
    for name in config.governor.important:
        if name not in cameras:
            raise InputError(
                f"governor.important names the camera {name!r}, which there is not.",
                hint=f"One of {', '.join(cameras)}.",
            )
    if not isinstance(model, Model):
        return
    variants = [variant.id for variant in model.manifest.variants]
    for place, rung in enumerate(config.governor.ladder):
        if rung.variant and rung.bundle is None and rung.variant not in variants:
            raise InputError(
                f"governor.ladder[{place}].variant: the bundle has no variant {rung.variant!r}.",
                hint=f"One of {', '.join(variants)}.",
            )


def _usual(config: AgentConfig, model: Model | Chain) -> Sequence[Rung]:
    if not isinstance(model, Model):
        # Two models in a row have no variants in common.
        return USUAL_LADDER
    return usual_ladder(model.manifest, model.variant, target=config.target, variant=config.variant)
