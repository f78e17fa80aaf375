"""From the agent's configuration to what watches its scenes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.events.event import SceneEvent
from edgesdk_agent.events.message import event_data, event_text
from edgesdk_agent.events.scenes import Scenes
from edgesdk_agent.events.settings import SceneSettings
from edgesdk_agent.link.reporter import Reporter
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import Model

log = logging.getLogger(__name__)


class AgentScenes:
    """The scenes of an agent, which go by its configuration and its model, whichever of the two changes.

    Args:
        section: `events` of the configuration.
        model: whose results they are; see `settings_for`.
        reporter: takes the events; without it they are only counted.

    Attributes:
        scenes: what watches the cameras.

    Raises:
        InputError: the model cannot answer what a rule asks, or a rule names a camera that there is not.
    """

    def __init__(
        self,
        section: SceneSettings,
        model: Model | Chain,
        cameras: Mapping[str, Camera],
        reporter: Reporter | None,
    ) -> None:
        self._section = section
        self._model = model
        self._cameras = cameras
        # A command changes the section while the governor changes the model.
        self._lock = threading.Lock()

        def tell(event: SceneEvent) -> None:
            if reporter is not None:
                name = f"scene_{event.kind}"
                reporter.event(name, event.severity, event_text(event), camera=event.camera, data=event_data(event))

        self.scenes = Scenes(settings_for(section, model, cameras), cameras, tell)

    def take_section(self, loaded: LoadedConfig) -> None:
        """Go by a changed configuration.

        Raises:
            InputError: model or cameras do not fit.
        """
        section = loaded.config.events
        assert section is not None  # noqa: S101  (a section that goes needs a restart)
        if loaded.config.clips.upload.send:
            from edgesdk_agent.evidence.send_rules import SendRules  # who sends nothing does not load it

            # A rule that is gone must not be one that clips are still to be sent for.
            SendRules(loaded.config.clips.upload, section)
        with self._lock:
            self.scenes.take_settings(settings_for(section, self._model, self._cameras))
            self._section = section

    def take_model(self, model: Model | Chain) -> None:
        """Go by another model, which takes over now: its score threshold is the tracker's, unless that has one."""
        with self._lock:
            self._model = model
            try:
                self.scenes.take_settings(settings_for(self._section, model, self._cameras))
            except InputError as error:
                log.warning("Rules stay as they were: %s", error.message)


def settings_for(settings: SceneSettings, model: Model | Chain, cameras: Mapping[str, Camera]) -> SceneSettings:
    """Return what scenes go by with a model and cameras: its score threshold is the tracker's, unless that has one.

    Raises:
        InputError: the model cannot answer what a rule asks, or a rule names a camera that there is not.
    """
    check_rules(settings, model, list(cameras))
    if "high_score" not in settings.tracker.model_fields_set and model.manifest.task == "detect":
        tracker = settings.tracker.model_copy(update={"high_score": _threshold(model, settings)})
        settings = settings.model_copy(update={"tracker": tracker})
    return settings


def _threshold(model: Model | Chain, settings: SceneSettings) -> float:
    threshold = getattr(model.manifest.postprocess, "score_threshold", None)
    return max(settings.tracker.low_score, settings.tracker.high_score if threshold is None else float(threshold))


def check_rules(settings: SceneSettings, model: Model | Chain, cameras: Sequence[str]) -> None:
    """Refuse rules that the model cannot answer, or for a camera that there is not. Raises InputError."""
    task = model.manifest.task
    if settings.needs_objects and task != "detect":
        raise InputError(
            f"The section events has rules on objects, and {model.manifest.name} is for the task {task!r}.",
            hint="Give a detector, or rules of kind label.",
        )
    if settings.needs_labels and task not in {"classify", "text"}:
        raise InputError(
            f"The section events has a rule of kind label, and {model.manifest.name} is for the task {task!r}.",
            hint="Labels that change are those of models for classify and text; for objects take the kind object.",
        )
    for one in (*settings.zones, *settings.lines, *settings.rules):
        unknown = next((name for name in one.cameras if name not in cameras), None)
        if unknown is not None:
            raise InputError(
                f"In the section events, {one.name!r} is for the camera {unknown!r}, which there is not.",
                hint=f"Cameras: {', '.join(cameras)}.",
            )
