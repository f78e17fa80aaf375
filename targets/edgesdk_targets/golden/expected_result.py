"""A golden picture's decoded answer as it stands in the bundle, and how far another answer may be from it.

The answer's unsteady parts were found when the bundle was made, by changing each pixel of the input by at most one grey level:
an object that then came or went (`steady: false`) may come or go on a device as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import ConfigDict, Field, TypeAdapter

from edgesdk_targets.late_model import LateModel
from edgesdk_targets.results import Result

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Frozen(LateModel):
    model_config = ConfigDict(frozen=True)


class ExpectedClass(_Frozen):
    class_id: int
    label: str = ""
    score: Finite


class ExpectedClasses(_Frozen):
    """Of a classifier: the best classes, best first."""

    kind: Literal["classification"]
    classes: tuple[ExpectedClass, ...]


class ExpectedObject(_Frozen):
    """One object; box in pixels of the picture."""

    class_id: int
    label: str = ""
    score: Finite
    box: tuple[Finite, Finite, Finite, Finite]
    steady: bool = True


class ExpectedObjects(_Frozen):
    """Of a detector: the objects, best first, and those that a trifle brings forth."""

    kind: Literal["detections"]
    objects: tuple[ExpectedObject, ...]


class ExpectedText(_Frozen):
    """Of a reader.

    Attributes:
        unsure: how many characters may be read otherwise.
    """

    kind: Literal["text"]
    text: str
    confidence: Finite
    unsure: int = Field(default=0, ge=0)


class ExpectedVector(_Frozen):
    """Of an embedding."""

    kind: Literal["embedding"]
    vector: tuple[Finite, ...]


class ExpectedValues(_Frozen):
    """Of a regression."""

    kind: Literal["regression"]
    values: dict[str, Finite]


ExpectedResult = Annotated[
    Union[ExpectedClasses, ExpectedObjects, ExpectedText, ExpectedVector, ExpectedValues],  # noqa: UP007
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(ExpectedResult)


class Tolerance(_Frozen):
    """How far a decoded answer may be from the golden one.

    Attributes:
        score: of a class, an object or a text's confidence.
        box: of each side of a box, pixels of the picture.
        cosine: 1 - cosine between two embeddings.
        value: of an estimated number.
    """

    score: float = Field(default=0.0, ge=0)
    box: float = Field(default=0.0, ge=0)
    cosine: float = Field(default=0.0, ge=0)
    value: float = Field(default=0.0, ge=0)


def expected_from(result: Result) -> Any:
    """Return a result as an `ExpectedResult`.

    Raises:
        pydantic.ValidationError: it holds numbers that are not finite.
    """
    return _ADAPTER.validate_python(result.to_json())
