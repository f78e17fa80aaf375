"""What a bundle says about its golden set: `golden/golden.json`, and the arrays beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import BadBundle
from edgesdk_targets.golden.expected_result import ExpectedResult, Finite, Tolerance
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

FOLDER = "golden"
INDEX = f"{FOLDER}/golden.json"
_SHA256 = r"^[0-9a-f]{64}$"
_AGAIN = "Convert the model again with this edgesdk."


class _Frozen(LateModel):
    model_config = ConfigDict(frozen=True)


class Group(_Frozen):
    """Channels of an output that hold one kind of numbers; boxes never drown scores.

    Attributes:
        axis, start, stop: the channels; axis None is the whole output.
    """

    name: str
    output: str
    axis: int | None = Field(default=None, ge=0)
    start: int = Field(default=0, ge=0)
    stop: int | None = None


class Picture(_Frozen):
    """One golden picture.

    Attributes:
        file: PNG in the bundle.
        pixels: digest of its decoded pixels.
        prepared: digest of what the model sees of it, before mean and std.
        reference: what the float source answers.
        own: digests of what members see of it that have an input of their own, by its name.
    """

    file: str
    pixels: str = Field(pattern=_SHA256)
    prepared: str = Field(pattern=_SHA256)
    reference: ExpectedResult
    own: dict[str, Annotated[str, Field(pattern=_SHA256)]] | None = None


class Limit(_Frozen):
    """How far a group's numbers may be from the golden ones.

    Attributes:
        db: signal-to-noise ratio that is needed at least.
        tiny: differences up to this are nothing, in the output's own unit.
    """

    db: Finite
    tiny: Finite = Field(ge=0)


class VariantAnswers(_Frozen):
    """What one variant answered when it was built.

    Attributes:
        answered_by: `artifact`, or `source` where the artifact's runtime was not there.
        runtime: what ran it.
        outputs: (pictures, values) float32 `.npy` in the bundle, the values that `golden/index.npy` names.
        results: one a picture.
        limits: by group.
        source_limits: by group, how far its numbers may be from the source's instead; none of a variant that computes in float.
        tolerances: between decoded results, one a picture.
    """

    answered_by: Literal["artifact", "source"]
    runtime: str
    outputs: str
    results: tuple[ExpectedResult, ...]
    limits: dict[str, Limit]
    source_limits: dict[str, Limit] = Field(default_factory=dict)
    tolerances: tuple[Tolerance, ...]


class GoldenSet(_Frozen):
    """The golden set of a bundle.

    Attributes:
        preprocess, postprocess: what the set was made with.
        frames: each picture is shown so often in a row; more than once to a model with state, which starts from zeros.
        prepare_off: how far OpenCV's picture may be from the exact one, grey levels.
        groups: of the outputs, in the order of the values in the arrays.
        counts: how many values of each group are kept.
        source: (pictures, values) float32 `.npy` in the bundle, what the float source answers; None where no variant is held to it.
    """

    schema_id: Literal["golden/1"] = Field(default="golden/1", alias="schema")
    preprocess: Preprocess
    postprocess: Postprocess
    frames: int = Field(default=1, ge=1, le=16)
    prepare_off: Finite = Field(gt=0)
    pictures: tuple[Picture, ...] = Field(min_length=1, max_length=64)
    groups: tuple[Group, ...]
    counts: tuple[Annotated[int, Field(ge=0)], ...]
    source: str | None = None
    variants: dict[str, VariantAnswers]

    def to_bytes(self) -> bytes:
        """Serialise canonically."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode() + b"\n"


@dataclass(frozen=True, slots=True)
class GoldenVariant:
    """The golden set as far as it concerns one variant, with its arrays read.

    Attributes:
        index: (pictures, values) int: where in its group's flattened array each value stands.
        values: (pictures, values) float32.
        source: likewise, of the float source; None where the variant is not held to it.
    """

    golden: GoldenSet
    answers: VariantAnswers
    index: Array
    values: Array
    source: Array | None = None


def has_golden(bundle: Bundle) -> bool:
    """Tell whether the bundle carries a golden set."""
    return INDEX in bundle.manifest.files


def read_golden(bundle: Bundle, variant_id: str) -> GoldenVariant:
    """Read the golden set for a variant.

    Raises:
        BadBundle: there is none, or it is damaged.
    """
    if not has_golden(bundle):
        raise BadBundle(f"{bundle.path} has no golden set; an older edgesdk made it.", hint=_AGAIN)
    try:
        golden = GoldenSet.model_validate_json(bundle.read(INDEX))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(bundle, f"{where or 'golden.json'}: {first['msg']}") from error
    answers = golden.variants.get(variant_id)
    if answers is None:
        raise BadBundle(f"The golden set of {bundle.path} does not know the variant {variant_id}.", hint=_AGAIN)
    why = _preprocess_problem(golden, bundle.manifest.preprocess)
    why = why or _groups_problem(golden, _outputs_of(bundle, variant_id))
    if why is not None:
        raise _damaged(bundle, why)
    shape = (len(golden.pictures), sum(golden.counts))
    index = _array(bundle, f"{FOLDER}/index.npy", np.int32, shape)
    values = _array(bundle, answers.outputs, np.float32, shape)
    complete = len(answers.results) == len(answers.tolerances) == len(golden.pictures)
    groups = {group.name for group in golden.groups}
    if not complete or groups != set(answers.limits):
        raise _damaged(bundle, f"{variant_id} does not answer every picture")
    if index.size and index.min() < 0:
        raise _damaged(bundle, "an index is negative")
    if not answers.source_limits:
        return GoldenVariant(golden, answers, index, values)
    if golden.source is None or groups != set(answers.source_limits):
        raise _damaged(bundle, f"{variant_id} is held to the source, and what that answers is not there")
    return GoldenVariant(golden, answers, index, values, _array(bundle, golden.source, np.float32, shape))


def read_member(bundle: Bundle, name: str) -> bytes:
    """Read a file that the golden set names.

    Raises:
        BadBundle: it is not there.
    """
    if name not in bundle.manifest.files:
        raise _damaged(bundle, f"{name} is not there")
    return bundle.read(name)


def _outputs_of(bundle: Bundle, variant_id: str) -> dict[str, TensorSpec]:
    """Return a variant's outputs by logical name, of the shapes that this variant gives; none for an unknown variant."""
    manifest = bundle.manifest
    own = next((variant.outputs for variant in manifest.variants if variant.id == variant_id), ())
    return {spec.name: given for spec, given in zip(manifest.outputs, own)}  # noqa: B905  (the manifest is checked)


def _preprocess_problem(golden: GoldenSet, spec: Preprocess | None) -> str | None:
    """Return what keeps the golden pictures from the model's input: arrays are made of the size that the set names."""
    made_with = golden.preprocess
    if spec is None:
        return "the model takes no picture"
    if made_with.size != spec.size or made_with.channels != spec.channels:
        made, wanted = (f"{list(one.size)} x {one.channels}" for one in (made_with, spec))
        return f"its pictures are prepared as {made}, and the model takes {wanted}"
    return None


def _groups_problem(golden: GoldenSet, outputs: Mapping[str, TensorSpec]) -> str | None:
    """Return what is wrong with the groups, or None."""
    if len(golden.counts) != len(golden.groups):
        return f"{len(golden.groups)} groups have {len(golden.counts)} counts"
    if len({group.name for group in golden.groups}) != len(golden.groups):
        return "two groups have the same name"
    for group in golden.groups:
        spec = outputs.get(group.output)
        if spec is None:
            return f"the group {group.name} is of an output {group.output!r}, which the model has not"
        if spec.dynamic:
            return f"the group {group.name} is of an output whose size depends on the picture"
        if group.axis is None:
            continue
        if group.axis >= len(spec.shape):
            return f"the group {group.name} is along axis {group.axis} of an output {list(spec.shape)}"
        stop = spec.shape[group.axis] if group.stop is None else group.stop
        if group.start >= stop:
            return f"the group {group.name} is the channels {group.start} to {stop}"
    return None


def _array(bundle: Bundle, name: str, dtype: type[np.generic], shape: tuple[int, int]) -> Array:
    data = read_member(bundle, name)
    try:
        array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a wrong header ends in whatever numpy's parsing of it raises
        raise _damaged(bundle, f"{name} is no array") from error
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise _damaged(bundle, f"{name} is {list(array.shape)} {array.dtype} and not {list(shape)}")
    return array


def _damaged(bundle: Bundle, why: str) -> BadBundle:
    return BadBundle(f"The golden set of {bundle.path} is damaged: {why}.", hint=_AGAIN)
