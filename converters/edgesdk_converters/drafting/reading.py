"""A reading: one way to understand a model's outputs, and what it is decided from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesdk_converters.drafting.exporter_metadata import ExporterMetadata
from edgesdk_targets.decode.heads.registry import HEADS
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

# Preset, and what differs from it, of the models that usually have such outputs.
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "boxes_scores": ("zero-one", {}),
    "yolov8": ("ultralytics", {}),
    "yolov5": ("ultralytics", {}),
    "end2end": ("ultralytics", {}),
    "detr": ("detr", {}),
    "rtdetr": ("zero-one", {}),
    "ssd": ("minus-one-one", {}),
    "torchvision": ("torchvision-detection", {}),
    "fastestdet": ("zero-one", {"color": "bgr"}),
    "classify": ("imagenet", {}),
    "text": ("minus-one-one", {}),
    "embed": ("imagenet", {}),
    "regress": ("zero-one", {}),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a model's outputs.

    Attributes:
        name: what `--head` takes: a detector's head, else the task.
        task: of the card.
        why: whose layout it is, and what told it, one line.
        preset: the preprocessing that such models are trained with.
        preprocess: fields that differ from the preset.
        postprocess: fields beside the head.
        classes: how many; None where the outputs do not tell.
        doubt: what else it could be; a reading with a doubt is never taken by itself.
    """

    name: str
    task: str
    why: str
    preset: str
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules decide from.

    Attributes:
        outputs: without state tensors, batch of one, -1 for open sizes.
        size: height, width of the picture, where it is known.
        made_by: the op behind an output, by its name.
        recurrent: the model carries state from frame to frame.
    """

    outputs: tuple[TensorSpec, ...]
    size: tuple[int, int] | None
    metadata: ExporterMetadata
    made_by: Mapping[str, str]
    recurrent: bool = False

    def of_rank(self, rank: int) -> list[TensorSpec]:
        return [spec for spec in self.outputs if len(spec.shape) == rank]

    @property
    def names(self) -> int:
        return len(self.metadata.names)


def reading_named(name: str) -> Reading:
    """Return the plain reading of a name that the caller gave.

    Raises:
        InputError: there is no such head.
    """
    if name not in _PRESETS:
        raise InputError(f"There is no head {name!r}.", hint=f"Heads: {', '.join(_PRESETS)}.")
    return reading(name, "as the caller said")


def reading(
    name: str,
    why: str = "",
    *,
    classes: int | None = None,
    doubt: str = "",
    preprocess: Mapping[str, Any] | None = None,
    postprocess: Mapping[str, Any] | None = None,
) -> Reading:
    head = HEADS.get(name)
    preset, changes = _PRESETS[name]
    about = f"{head.about}; {why}" if head and why else head.about if head else why
    return Reading(
        name=name,
        task="detect" if head else name,
        why=about,
        preset=preset,
        preprocess={**changes, **(preprocess or {})},
        postprocess=dict(postprocess or {}),
        classes=classes,
        doubt=doubt,
    )


def counted(classes: int) -> str:
    """Return the number of classes as text."""
    return "1 class" if classes == 1 else f"{classes} classes"
