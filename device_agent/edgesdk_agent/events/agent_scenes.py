"""From the agent's configuration to what watches its scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.events.event import SceneEvent
from edgesdk_agent.events.message import event_data, event_text
from edgesdk_agent.events.scenes import Scenes
from edgesdk_agent.events.settings import SceneSettings
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.steering.running_model import RunningModel
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import Model


def scenes_for(
    settings: SceneSettings,
    model: Model | Chain,
    cameras: Mapping[str, Camera],
    reporter: Reporter | None,
) -> Scenes:
    """Return what watches the cameras.

    Args:
        settings: the section `events`.
        model: whose results they are; see `settings_for`.
        reporter: takes the events; without it they are only counted.

    Raises:
        InputError: the model cannot answer what a rule asks, or a rule names a camera that there is not.
    """
    settings = settings_for(settings, model, cameras)

    def tell(event: SceneEvent) -> None:
        if reporter is not None:
            name = f"scene_{event.kind}"
            reporter.event(name, event.severity, event_text(event), camera=event.camera, data=event_data(event))

    return Scenes(settings, cameras, tell)


def settings_for(settings: SceneSettings, model: Model | Chain, cameras: Mapping[str, Camera]) -> SceneSettings:
    """Return what scenes go by with a model and cameras: its score threshold is the tracker's, unless that has one.

    Raises:
        InputError: the model cannot answer what a rule asks, or a rule names a camera that there is not.
    """
    _check(settings, model, cameras)
    if "high_score" not in settings.tracker.model_fields_set and model.manifest.task == "detect":
        tracker = settings.tracker.model_copy(update={"high_score": _threshold(model, settings)})
        settings = settings.model_copy(update={"tracker": tracker})
    return settings


def scenes_applier(
    scenes: Scenes, running: RunningModel, cameras: Mapping[str, Camera]
) -> Callable[[LoadedConfig], None]:
    """Return what lets the scenes go by a changed configuration; it raises InputError where model or cameras do not fit."""

    def take_on(loaded: LoadedConfig) -> None:
        section = loaded.config.events
        assert section is not None  # noqa: S101  (a section that goes needs a restart)
        if loaded.config.clips.upload.send:
            from edgesdk_agent.evidence.send_rules import SendRules  # who sends nothing does not load it

            # A rule that is gone must not be one that clips are still to be sent for.
            SendRules(loaded.config.clips.upload, section)
        scenes.take_settings(settings_for(section, running.model, cameras))

    return take_on


def _threshold(model: Model | Chain, settings: SceneSettings) -> float:
    threshold = getattr(model.manifest.postprocess, "score_threshold", None)
    return max(settings.tracker.low_score, settings.tracker.high_score if threshold is None else float(threshold))


def _check(settings: SceneSettings, model: Model | Chain, cameras: Mapping[str, Camera]) -> None:
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
