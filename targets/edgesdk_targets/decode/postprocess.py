"""What has to be done to a model's outputs before they mean something, as data.

The same block stands in the model card and in the bundle's manifest. What is not given is the head's own default.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Activation = Literal["none", "softmax", "sigmoid"]
Background = Literal["first", "last", "none"]
BoxFormat = Literal["xyxy", "cxcywh"]
BoxUnits = Literal["pixels", "unit"]
Pooling = Literal["first", "mean"]

# AP is the area under the whole curve: how weak detections are ranked counts, too.
AP_SCORE_THRESHOLD = 0.001
# So many scores of a picture are kept at the most; a picture's answer then takes 12 kB.
_SCORED_CLASSES = 1000


def judged_with(task: str) -> dict[str, float]:
    """Return what replaces a model's own values where its accuracy is measured; nothing but for a detector."""
    return {"score_threshold": AP_SCORE_THRESHOLD} if task == "detect" else {}


def measured_with(task: str) -> dict[str, float]:
    """Return what replaces a model's own values where all figures are measured: ROC-AUC ranks the scores of every class."""
    return {"top_k": _SCORED_CLASSES} if task == "classify" else judged_with(task)


class Postprocess(BaseModel):
    """How one model's outputs are decoded.

    Attributes:
        head: layout of a detector's outputs, a key of `HEADS`; None is `boxes_scores`.
        score_threshold: detections below it are dropped first of all, 0..1.
        iou_threshold: of two boxes of one class that overlap more, the weaker goes, 0..1.
        max_detections: at most so many objects an image, the best ones.
        top_k: at most so many classes of a classifier.
        blank: index of CTC's blank among the outputs of a text model.
        activation: what turns raw outputs into scores; None is found by name (`logits`, `probabilities`) or head.
        background: where a detector's scores hold the class "no object".
        box_format: corners, or centre and size.
        box_units: pixels of the model's input, or fractions of it.
        pooling: of an embedding for each patch, the first one (the class token) or their mean.
        outputs: which output plays which role, where names and shapes do not say it: `{boxes: "1042"}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str | None = None
    score_threshold: float = Field(default=0.25, ge=0.0, le=1.0)
    iou_threshold: float = Field(default=0.45, ge=0.0, le=1.0)
    max_detections: int = Field(default=300, ge=1, le=100_000)
    top_k: int = Field(default=5, ge=1, le=100_000)
    blank: int = Field(default=0, ge=0)
    activation: Activation | None = None
    background: Background | None = None
    box_format: BoxFormat | None = None
    box_units: BoxUnits | None = None
    pooling: Pooling = "first"
    outputs: dict[str, str] = Field(default_factory=dict)
