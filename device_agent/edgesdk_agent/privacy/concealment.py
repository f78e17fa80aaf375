"""All that is to be hidden in the pictures of an agent, by camera, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edgesdk_agent.frame import Frame, FrameResult

if TYPE_CHECKING:
    from edgesdk_agent.privacy.hidden_objects import HiddenObjects
    from edgesdk_agent.privacy.mask import Mask


class MaskStage:
    """Paint a mask before anything else sees a picture: a stage of the capture thread."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def __call__(self, frame: Frame) -> None:
        """Paint the frame's picture in place."""
        self._mask.paint(frame.image)


class Concealment:
    """Hide parts of pictures that are about to leave memory.

    Args:
        masks: by camera; those that were painted at capture need not be among them.
        objects: by camera.
    """

    def __init__(self, masks: Mapping[str, Mask], objects: Mapping[str, HiddenObjects]) -> None:
        self._masks = dict(masks)
        self._objects = dict(objects)
        self._pictures = self._places = 0

    @property
    def any(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._masks or self._objects)

    def note(self, result: FrameResult) -> None:
        """Remember where a frame's objects are; to be called for each result, in order."""
        if (objects := self._objects.get(result.camera)) is not None:
            objects.note(result)

    def conceal(self, result: FrameResult) -> FrameResult:
        """Hide what is to be hidden in the result's picture, in place, and return the result.

        A picture that must not be written to, as a user's own stage may have returned it, is copied first.
        """
        if result.image is None or not self.any:
            return result
        if not result.image.flags.writeable:
            result = replace(result, image=result.image.copy())
        image = result.image
        assert image is not None  # noqa: S101  (asked above)
        if (mask := self._masks.get(result.camera)) is not None:
            mask.paint(image)
        if (objects := self._objects.get(result.camera)) is not None:
            self._places += objects.hide(image)
        self._pictures += 1
        return result

    def counts(self) -> Mapping[str, int]:
        """Return how many pictures were looked through, and how many places were hidden in them."""
        return {"pictures": self._pictures, "hidden": self._places} if self.any else {}
