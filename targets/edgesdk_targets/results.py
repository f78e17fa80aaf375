"""What a model answers: small frozen values, one type for each task.

Boxes are in pixels of the original image, never of the model's input. Arrays are the result's own: a result may
be kept as long as one likes. `to_json()` gives plain values with the names of classes, `to_numpy()` the arrays by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import numpy as np

from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.tensor import Array


def name_of(class_id: int, names: tuple[str, ...]) -> str:
    """Return the label of a class, or its number as text where the model came without labels."""
    return names[class_id] if 0 <= class_id < len(names) else str(class_id)


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The most likely classes of one image, best first.

    Attributes:
        class_ids: (K,) int64.
        scores: (K,) float32 probabilities, descending.
        names: the labels of all classes, in the model's order.
    """

    kind: ClassVar[str] = "classification"
    class_ids: Array
    scores: Array
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _same_length(self.class_ids, self.scores)

    @property
    def label(self) -> str:
        """The label of the most likely class."""
        return name_of(int(self.class_ids[0]), self.names)

    @property
    def score(self) -> float:
        return float(self.scores[0])

    def to_json(self) -> dict[str, object]:
        classes = [
            {"class_id": i, "label": name_of(i, self.names), "score": round(s, 4)}
            for i, s in zip(self.class_ids.tolist(), self.scores.tolist(), strict=True)
        ]
        return {"kind": self.kind, "classes": classes}

    def to_numpy(self) -> dict[str, Array]:
        """Return `class_ids` (K,) int64 and `scores` (K,) float32."""
        return {"class_ids": self.class_ids, "scores": self.scores}

    def to_supervision(self) -> Any:
        """Return these as `supervision.Classifications`.

        Raises:
            MissingExtra: the package `supervision` is not installed.
        """
        return _supervision().Classifications(class_id=self.class_ids, confidence=self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The objects found in one image, best score first.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the original image.
        scores: (N,) float32.
        class_ids: (N,) int64.
        names: the labels of all classes, in the model's order.
        track_ids: (N,) int64, the object that each is, from 1; 0 for what is no object yet. None where nothing is tracked.
        weak: detections below the model's score threshold, of which a tracker may continue objects (`Model.keep_weak`); they
            are found by nobody else, and reported nowhere. None where none are kept.
    """

    kind: ClassVar[str] = "detections"
    boxes: Array
    scores: Array
    class_ids: Array
    names: tuple[str, ...] = ()
    track_ids: Array | None = None
    weak: Detections | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise InputError(f"Boxes must be (N, 4), not {self.boxes.shape}.")
        _same_length(self.boxes, self.scores, self.class_ids, *(() if self.track_ids is None else (self.track_ids,)))

    def __len__(self) -> int:
        return len(self.scores)

    def label(self, index: int) -> str:
        return name_of(int(self.class_ids[index]), self.names)

    def to_json(self) -> dict[str, object]:
        objects: list[dict[str, object]] = [
            {
                "class_id": c,
                "label": name_of(c, self.names),
                "score": round(s, 4),
                "box": [round(v, 2) for v in box],
            }
            # As lists at once: taken from an array one by one they cost several times as much.
            for box, s, c in zip(self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), strict=True)
        ]
        if self.track_ids is not None:
            for one, number in zip(objects, self.track_ids.tolist(), strict=True):
                one["track_id"] = number
        return {"kind": self.kind, "objects": objects}

    def to_numpy(self) -> dict[str, Array]:
        """Return `boxes` (N, 4) float32, `scores` (N,) float32, `class_ids` (N,) int64, and `track_ids` (N,) int64 if any."""
        arrays = {"boxes": self.boxes, "scores": self.scores, "class_ids": self.class_ids}
        return arrays if self.track_ids is None else {**arrays, "track_ids": self.track_ids}

    def to_supervision(self) -> Any:
        """Return these as `supervision.Detections`.

        Raises:
            MissingExtra: the package `supervision` is not installed.
        """
        labels = np.array([self.label(i) for i in range(len(self))])
        return _supervision().Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids,
            data={"class_name": labels},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Text read from one image; of a streaming model, what this frame added.

    Attributes:
        text: the characters.
        confidence: geometric mean of the probabilities of the characters read, 0..1; 0 where there is no text.
    """

    kind: ClassVar[str] = "text"
    text: str
    confidence: float

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "text": self.text, "confidence": round(self.confidence, 4)}

    def to_numpy(self) -> dict[str, Array]:
        """Return `text` () str and `confidence` () float32."""
        return {"text": np.asarray(self.text), "confidence": np.asarray(self.confidence, np.float32)}


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A feature vector, (D,) float32."""

    kind: ClassVar[str] = "embedding"
    vector: Array

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "vector": [round(v, 6) for v in self.vector.tolist()]}

    def to_numpy(self) -> dict[str, Array]:
        """Return `vector` (D,) float32."""
        return {"vector": self.vector}


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Numbers estimated from one image, (D,) float32, with a name for each where the card gives labels."""

    kind: ClassVar[str] = "regression"
    values: Array
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        values: Mapping[str, float] = {name_of(i, self.names): round(float(v), 6) for i, v in enumerate(self.values)}
        return {"kind": self.kind, "values": values}

    def to_numpy(self) -> dict[str, Array]:
        """Return `values` (D,) float32."""
        return {"values": self.values}


# What the second model of a chain may say of a crop.
CropResult = Union[Classification, Text, Embedding, Regression]  # noqa: UP007  (Python 3.10 at run time)
_NOTHING: Mapping[str, object] = {"f": np.nan, "i": -1, "U": ""}


@dataclass(frozen=True, slots=True, eq=False)
class Chained:
    """The objects found in one image, with what a second model says of each.

    Attributes:
        detections: all of them, also those that were not cropped.
        then: for each detection the second model's answer; None where it was not asked.
    """

    kind: ClassVar[str] = "chain"
    detections: Detections
    then: tuple[CropResult | None, ...]

    def __post_init__(self) -> None:
        if len(self.then) != len(self.detections):
            raise InputError(f"There are {len(self.then)} answers to {len(self.detections)} detections.")

    def __len__(self) -> int:
        return len(self.detections)

    def to_json(self) -> dict[str, object]:
        objects = self.detections.to_json()["objects"]
        assert isinstance(objects, list)  # noqa: S101  (written so above)
        answers = [None if answer is None else answer.to_json() for answer in self.then]
        joined = [{**one, "then": answer} for one, answer in zip(objects, answers, strict=True)]
        return {"kind": self.kind, "objects": joined}

    def to_numpy(self) -> dict[str, Array]:
        """Return the detections' arrays, `cropped` (N,) bool, and the answers' arrays with N rows as `then_…`.

        A row of a detection that was not cropped holds NaN, -1 or an empty text. Where none was cropped, there is no `then_…`.
        """
        arrays = {
            **self.detections.to_numpy(),
            "cropped": np.array([answer is not None for answer in self.then], bool),
        }
        answered = [None if answer is None else answer.to_numpy() for answer in self.then]
        first = next((answer for answer in answered if answer is not None), {})
        for name, like in first.items():
            nothing = np.full(like.shape, _NOTHING[like.dtype.kind], like.dtype)
            arrays[f"then_{name}"] = np.stack([nothing if answer is None else answer[name] for answer in answered])
        return arrays

    def to_supervision(self) -> Any:
        """Return the detections as `supervision.Detections`, with the answers' arrays among their `data`.

        Raises:
            MissingExtra: the package `supervision` is not installed.
        """
        detections = self.detections.to_supervision()
        detections.data.update({name: rows for name, rows in self.to_numpy().items() if name.startswith("then_")})
        return detections


Result = Union[Classification, Detections, Text, Embedding, Regression, Chained]  # noqa: UP007  (Python 3.10 at run time)


def _same_length(*arrays: Array) -> None:
    if len({len(a) for a in arrays}) > 1:
        raise InputError(f"The parts of a result differ in length: {[len(a) for a in arrays]}.")


def _supervision() -> Any:
    try:
        import supervision
    except ImportError as error:
        raise MissingExtra("supervision", "supervision") from error
    return supervision
