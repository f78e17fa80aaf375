"""What a variant says of the models that answer together, as data.

All are classifiers with the same labels, see the same picture, and are run by the same runtime. A member that sees it as the first
one does, but for mean and std, is handed the first one's pixels; another has an input of its own. Their files are the variant's
own, with the member's place before the role: `0/model`, `1/weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from edgesdk_targets.card import NAME
from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec

Rule = Literal["cascade", "average", "vote"]
# What they answer together has this name, and is probabilities.
OUTPUT = "probabilities"
_Content = TypeVar("_Content")


class Member(LateModel):
    """One of the models.

    Attributes:
        id: of the variant that it is in its own bundle.
        name, version, digest: of that bundle.
        inputs, outputs, folded, effective_precision: as of a variant.
        mean, std: of its normalisation, in pixel units, one a channel.
        activation: what makes probabilities of its output.
        picture: the name of the input that it has of its own; None where it is handed the first member's pixels.
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)
    version: str
    digest: str
    precision: Precision
    effective_precision: str = "f32"
    inputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=1)
    folded: bool = False
    mean: tuple[float, ...]
    std: tuple[float, ...]
    activation: Activation = "softmax"
    # Absent where there is none, so that the bytes and digests of such bundles are what they always were.
    picture: str | None = None


class Together(LateModel):
    """How several models answer as one.

    Attributes:
        rule: `cascade` asks the next one where the one before is in doubt; `average` is the mean of their probabilities;
            `vote` is the share of them that answers each class, ties by the mean.
        threshold: of a cascade: whose highest probability is below it is in doubt.
        share: of a cascade: the share of the calibration pictures on which the last one was asked.
    """

    model_config = ConfigDict(frozen=True)

    rule: Rule
    members: tuple[Member, ...] = Field(min_length=2, max_length=16)
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    share: float | None = Field(default=None, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _consistent(self) -> Together:
        if self.rule == "cascade" and (self.threshold is None or len(self.members) != 2):
            raise ValueError("a cascade has two members and a threshold")
        widths = {_classes(member.outputs[0]) for member in self.members}
        if self.members[0].picture is not None:
            raise ValueError("the first member's picture is the model's own")
        own = [member.picture for member in self.members if member.picture is not None]
        if len(set(own)) != len(own):
            raise ValueError(f"two members have one input: {sorted(own)}")
        if len(widths) > 1:
            raise ValueError(f"the members have different numbers of classes: {sorted(widths)}")
        return self

    @property
    def classes(self) -> int:
        """How many classes each member tells apart."""
        return _classes(self.members[0].outputs[0])


def files_of(files: Mapping[str, _Content], place: int) -> dict[str, _Content]:
    """Return one member's files by their own roles, of all that the variant has."""
    mine = f"{place}/"
    return {role.removeprefix(mine): content for role, content in files.items() if role.startswith(mine)}


def _classes(output: TensorSpec) -> int:
    return output.shape[1] if len(output.shape) > 1 else 0
