"""What results and pictures pass in an agent, as the configuration says: rules over scenes, hooks, and the door for pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from edgesdk_agent.agent_updates import frames_of, tally_of
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.delivery.agent_hooks import AgentHooks
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.evidence.agent_pictures import AgentPictures
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.events.agent_scenes import AgentScenes
    from edgesdk_agent.events.scenes import Scenes
    from edgesdk_agent.timeline.timeline import Timeline


class AgentResults:
    """Everything between a pipeline and whoever gets its results.

    Args:
        policies: of the cameras, by name.
        reporter: reports results; None without a broker, where they are only counted.
        counts: takes what is counted on the way.
        stack: ends what begins here.

    Attributes:
        pictures: what becomes of pictures; tally: what results say, where another model may be tried here; shadow: hands
            frames to a shadow run, there.

    Raises:
        InputError: the configuration names something that the model, the cameras or the hooks do not have.
    """

    def __init__(
        self,
        config: AgentConfig,
        model: Model | Chain,
        cameras: Mapping[str, Camera],
        policies: Mapping[str, Policy],
        reporter: Reporter | None,
        counts: CountRegistry,
        stack: ExitStack,
    ) -> None:
        self._agent_scenes: AgentScenes | None = None
        self._scenes: Scenes | None = None
        if config.events is not None:
            from edgesdk_agent.events.agent_scenes import AgentScenes  # who has no rules does not pay for them

            self._agent_scenes = AgentScenes(config.events, model, cameras, reporter)
            self._scenes = self._agent_scenes.scenes
            counts.add("scenes", self._scenes.counts)
        self._hooks = AgentHooks(
            config,
            _only_count if reporter is None else reporter,
            lossless=set(policies.values()) == {"every_frame"},
            reporter=reporter,
            scenes=self._scenes,
        )
        self.tally, self.shadow = tally_of(config), frames_of(config)
        self.pictures = AgentPictures(config, model, _only_count if reporter is None else reporter.event)
        self.pictures.start(stack, counts)
        if self._scenes is not None:
            self._scenes.evidence = self.pictures.of_events

    def pipeline(
        self,
        model: Model | Chain,
        cameras: Mapping[str, Camera],
        policies: Mapping[str, Policy],
        *,
        on_error: Callable[[EdgeError], None],
        on_camera_error: Callable[[str, EdgeError], None],
        profile: Timeline | None = None,
    ) -> Pipeline:
        """Return the pipeline whose results come here; it is not started."""
        hooks, pictures = self._hooks, self.pictures
        on_result = pictures.door(hooks.delivery, hooks_take_pictures=hooks.needs_images)
        if self.tally is not None:
            from edgesdk_agent.update.result_tally import TalliedDelivery

            on_result = TalliedDelivery(self.tally, on_result)
        if self.shadow is not None:
            from edgesdk_agent.shadow.next_frame import ShadowedDelivery

            on_result = ShadowedDelivery(self.shadow, on_result, pictures=self.keeps_pictures)
        pipeline = Pipeline(
            model,
            cameras,
            on_result=on_result,
            policy=policies,
            keep_image=self.keeps_pictures,
            picture_stages=pictures.stages,
            on_frame=hooks.on_frame,
            on_error=on_error,
            on_camera_error=on_camera_error,
            profile=profile,
        )
        if self._agent_scenes is not None:
            pipeline.on_model = self._agent_scenes.take_model
        return pipeline

    @property
    def keeps_pictures(self) -> bool:
        """Whether results carry their pictures, for hooks, evidence or the preview."""
        return self._hooks.needs_images or self.pictures.needed

    def steered_by(self, hands: AgentSteering) -> None:
        """Let commands use what is here, and settings from afar reach it."""
        commands, gates = self.pictures.commands, self.pictures.gates
        hands.snapshot, hands.evidence = commands.snapshot, commands
        hands.appliers["frame_data"] = lambda loaded: gates.take_numbers(loaded.config.frame_data)
        if self._agent_scenes is not None:
            hands.appliers["scenes"] = self._agent_scenes.take_section

    def check_stages(self) -> None:
        """Look at the end of a run whether the user's stages did anything at all.

        Raises:
            EdgeError: one failed with everything that it got.
        """
        self._hooks.check_stages()

    def summary(self, stats: FrameStats) -> dict[str, Any]:
        """Return what a run's summary says of hooks, events and pictures; parts that are off are absent."""
        told: dict[str, Any] = {}
        if hooks := self._hooks.counts():
            told["hooks"] = hooks
        if self._scenes is not None:
            told["events"] = self._scenes.counts()
        return told | self.pictures.summary(stats)


def _only_count(*_told: object, **_more: object) -> None:
    """Without a broker a result is counted by the pipeline, and that is all."""
