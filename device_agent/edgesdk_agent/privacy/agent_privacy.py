"""From the agent's configuration to what is hidden in its pictures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.privacy.concealment import Concealment
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.privacy.hidden_objects import HiddenObjects
    from edgesdk_agent.privacy.mask import Mask


class AgentPrivacy:
    """What is hidden, and where.

    Args:
        config: its `privacy` and cameras.
        model: whose classes may be blurred.

    Attributes:
        before: by camera, what is masked before anybody sees a frame, the model included.
        concealment: what is hidden in pictures that leave.

    Raises:
        InputError: a mask names no camera, or a class that is to be blurred is none of the model's.
    """

    def __init__(self, config: AgentConfig, model: Model | Chain) -> None:
        privacy, cameras = config.privacy, [camera.name for camera in config.cameras]
        masks = _masks(config, cameras)
        check_blur(privacy.blur, model)
        objects: dict[str, HiddenObjects] = {}
        if privacy.blur:
            from edgesdk_agent.privacy.hidden_objects import HiddenObjects

            objects = {
                name: HiddenObjects(privacy.blur, margin=privacy.blur_margin, hold_s=privacy.blur_hold_s)
                for name in cameras
            }
        self.before: Mapping[str, Mask] = masks if privacy.mask_before_inference else {}
        self.concealment = Concealment({} if self.before else masks, objects)


def _masks(config: AgentConfig, cameras: Sequence[str]) -> dict[str, Mask]:
    polygons: dict[str, list[tuple[tuple[float, float], ...]]] = {}
    for section in config.privacy.masks:
        if section.camera not in cameras:
            message = f"A mask is for camera {section.camera!r}, and there is none of this name."
            raise InputError(message, hint=f"One of {', '.join(cameras)}.")
        polygons.setdefault(section.camera, []).append(section.polygon)
    if not polygons:
        return {}
    from edgesdk_agent.privacy.mask import Mask

    return {name: Mask(of_camera) for name, of_camera in polygons.items()}


def _labels(model: Model | Chain) -> tuple[str, ...]:
    labels: tuple[str, ...] = model.manifest.labels
    return (*labels, *model.then.manifest.labels) if isinstance(model, Chain) else labels


def check_blur(wanted: Sequence[str], model: Model | Chain) -> None:
    """Refuse a class that the model will never name: it would be seen in every picture. Raises InputError."""
    labels = _labels(model)
    for name in wanted:
        if name not in labels:
            near = difflib.get_close_matches(name, labels, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It names {', '.join(labels[:10]) or 'no classes'}."
            raise InputError(f"privacy.blur: the model has no class {name!r}.", hint=hint)
