"""What a member sees of a picture where it is not what the first one sees: another size, another part, other colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.together.spec import Together


@dataclass(frozen=True, slots=True)
class OwnPicture:
    """An input that a member has of its own, and how the picture is prepared for it.

    Attributes:
        tensor: by the input's logical name.
        folded: mean and std are part of the member's artifact.
    """

    tensor: TensorSpec
    preprocess: Preprocess
    folded: bool


def own_pictures(
    prepared: Mapping[str, Preprocess] | None, inputs: Sequence[TensorSpec], together: Together | None
) -> tuple[OwnPicture, ...]:
    """Return the inputs that members have of their own.

    Args:
        prepared: of the manifest: how the picture is prepared for each such input.
        inputs: of a session, by logical names.
        together: of its variant; None where there is one model, or where no artifact has its normalisation folded.
    """
    folded = {member.picture: member.folded for member in together.members} if together is not None else {}
    return tuple(
        OwnPicture(spec, prepared[spec.name], folded.get(spec.name, False))
        for spec in inputs
        if prepared and spec.name in prepared
    )
