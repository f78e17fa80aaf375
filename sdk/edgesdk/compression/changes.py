"""What compression changed in a model's structure, as data.

A compressed model is not a pickle: it is its author's own factory, a list of these changes, and weights. A list may come
from outside, so every change is checked, and none may make a model larger than it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import dotted, field_problems

# Names of layers, as `named_modules()` writes them.
LayerName = Annotated[str, Field(pattern=r"^[A-Za-z_0-9]\w*(\.\w+)*$", max_length=300)]
Count = Annotated[int, Field(ge=1, le=1 << 20, strict=True)]
# More changes than this come of no model that a device could run.
_MAX_CHANGES = 20_000


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: LayerName


class Channels(_Change):
    """A layer has fewer channels.

    Attributes:
        inputs, outputs: channels; of a normalisation both are its channels.
        groups: of a convolution.
    """

    kind: Literal["channels"] = "channels"
    inputs: Count
    outputs: Count
    groups: Count = 1


class Factorised(_Change):
    """A layer is the product of two thinner ones.

    Attributes:
        form: `channel` (a convolution of its kernel to `rank` channels, then 1 x 1; a linear layer likewise), `spatial` (one
            along the height, then one along the width), or `input` (a projection to `rank` before a recurrent layer).
    """

    kind: Literal["factorised"] = "factorised"
    rank: Count
    form: Literal["channel", "spatial", "input"] = "channel"


class Tied(_Change):
    """A layer uses the weights of another."""

    kind: Literal["tied"] = "tied"
    to: LayerName


class Folded(_Change):
    """A normalisation is part of the layer before it.

    Attributes:
        layer: the convolution or linear layer, which has a bias from now on.
        norm: the normalisation, which passes through what it gets.
    """

    kind: Literal["folded"] = "folded"
    norm: LayerName


class Sparse(_Change):
    """The zeros of a layer's weight are meant: training keeps them."""

    kind: Literal["sparse"] = "sparse"


class Clustered(_Change):
    """A layer's weight holds few distinct numbers: training moves them together.

    Attributes:
        count: of distinct numbers, at most.
    """

    kind: Literal["clustered"] = "clustered"
    count: Annotated[int, Field(ge=2, le=1 << 16, strict=True)]


Change = Annotated[
    Channels | Factorised | Tied | Folded | Sparse | Clustered,
    Field(discriminator="kind"),
]
Changes = tuple[Change, ...]


class _Listed(BaseModel):
    changes: Annotated[tuple[Change, ...], Field(max_length=_MAX_CHANGES)]


def read_changes(given: Any) -> Changes:
    """Read a list of changes from a card.

    Raises:
        InputError: a change is unknown or a value of it is wrong; the message names its place in the list.
    """
    try:
        return _Listed.model_validate({"changes": given}).changes
    except ValidationError as error:
        first = field_problems(_Listed, error)[0]
        raise InputError(
            f"The card's {dotted(first.path)}: {first.message}",
            hint="Take the card as `edgesdk compress` wrote it; it is not meant to be edited.",
        ) from error


def write_changes(changes: Sequence[Any]) -> list[dict[str, Any]]:
    """Return changes for a card; fields that are as usual are left out."""
    return [{"kind": change.kind, **change.model_dump(exclude_defaults=True)} for change in changes]
