"""What a bundle says of itself: `manifest.json`.

The schema's major version gates reading; within one major version fields are only added, and unknown ones are
ignored. The bundle's digest is the sha256 of the manifest's bytes, which hold the sha256 of every other file.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from edgesdk_targets.card import NAME, VERSION, Task
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import BadBundle, UnknownSchema
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.state import StateSpec, check_states
from edgesdk_targets.target import NAME_PATTERN as TARGET_NAME
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.together.spec import Together, files_of
from edgesdk_targets.window import WindowSpec, check_window

SCHEMA_MAJOR = 1
MAX_BATCH = 1024
SCHEMA = f"edgebundle/{SCHEMA_MAJOR}"
Status = Literal["measured", "emulated", "simulated", "built only"]


class BundleFile(LateModel):
    """One file of the bundle."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Variant(LateModel):
    """One model file set, for one target and precision.

    Attributes:
        files: role (`model`, `weights`, `recipe`) → path in the bundle; variants may share a path.
        inputs, outputs: as this file takes and gives them, by the runtime's own names, in the manifest's order.
        folded: mean and std are part of the artifact; it takes pixels.
        effective_precision: what the session sets the runtime to compute in; of an int8 variant, for what is in float.
        parity: what the comparison with the source measured.
        accuracy: the gate's verdict (`outcome`, `reason`) with its figures; empty where no data were given.
        status: on what this variant has run: on the target itself (measured), its builds under emulation, the same
            runtime on the converting host (simulated), or not at all.
        notes: why this runtime and not an earlier one of the target's chain.
        together: of a variant that is several models, how they answer as one; its files are theirs.
        batch: pictures of one inference, the first dimension of every input and output; None for one.
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=NAME)
    target: str = Field(pattern=TARGET_NAME)
    runtime: Runtime
    precision: Precision
    effective_precision: str = "f32"
    files: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    folded: bool = False
    parity: dict[str, Any] = Field(default_factory=dict)
    accuracy: dict[str, Any] = Field(default_factory=dict)
    status: Status = "built only"
    notes: tuple[str, ...] = ()
    together: Together | None = None
    # Absent for one, so that the bytes and digests of such bundles are what they always were.
    batch: int | None = Field(default=None, ge=2, le=MAX_BATCH)

    @property
    def pictures(self) -> int:
        """Pictures of one inference."""
        return self.batch or 1


class Manifest(LateModel):
    """Everything a device needs to know to feed the model and to read its answer.

    Attributes:
        own_preprocess: of several models that answer as one: how the picture is prepared for the inputs beside the first.
    """

    model_config = ConfigDict(frozen=True)

    # Named `schema` in the file; pydantic's BaseModel has a method of that name.
    schema_id: str = Field(default=SCHEMA, alias="schema")
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=VERSION)
    task: Task
    labels: tuple[str, ...] = ()
    license: str | None = None
    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    preprocess: Preprocess | None = None
    # Absent where there is none, so that the bytes and digests of such bundles are what they always were.
    own_preprocess: dict[str, Preprocess] | None = None
    postprocess: Postprocess = Field(default_factory=Postprocess)
    state: tuple[StateSpec, ...] = ()
    window: WindowSpec | None = None
    variants: tuple[Variant, ...] = Field(min_length=1)
    files: dict[str, BundleFile]
    metrics: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) != len(ids):
            raise ValueError(f"two variants have the same id: {sorted(ids)}")
        if open_inputs := [spec.name for spec in self.inputs if spec.dynamic]:
            raise ValueError(f"inputs must have static shapes: {open_inputs}")
        for variant in self.variants:
            if any(spec.dynamic for spec in variant.inputs):
                raise ValueError(f"variant {variant.id} has an input without a static shape")
            if missing := [path for path in variant.files.values() if path not in self.files]:
                raise ValueError(f"variant {variant.id} names files that are not listed: {missing}")
            for mine in _members_files(variant):
                if "model" not in mine:
                    raise ValueError(f"variant {variant.id} has no file in the role 'model'")
            if len(variant.inputs) != len(self.inputs) or len(variant.outputs) != len(self.outputs):
                raise ValueError(f"variant {variant.id} has another number of inputs or outputs than the model")
        self._check_batches()
        self._check_own_pictures()
        check_states(self.state, self.inputs, self.outputs)
        check_window(self.window, self.inputs[0], alone=not self.state, picture=self.preprocess is not None)
        if self.window is not None and len(self.inputs) != 1:
            raise ValueError("window: the model has more than one input")
        return self

    def _check_batches(self) -> None:
        for variant in self.variants:
            if variant.batch is None:
                continue
            said = f"variant {variant.id} takes {variant.batch} pictures at once, and"
            if self.state or self.window is not None or variant.together is not None:
                raise ValueError(f"{said} the model has a state, takes clips, or is several models")
            for spec in (*variant.inputs, *variant.outputs):
                if spec.shape[:1] != (variant.batch,):
                    raise ValueError(f"{said} {spec.name} is {list(spec.shape)}")

    def bytes_of(self, variant: Variant) -> int:
        """Return the bytes of a variant's files, unpacked; one that has two roles counts once."""
        return sum(self.files[path].size for path in set(variant.files.values()))

    def _check_own_pictures(self) -> None:
        """Each input beside the first is one member's, in every variant."""
        for variant in self.variants:
            members = variant.together.members if variant.together is not None else ()
            own = sorted(member.picture for member in members if member.picture is not None)
            if own != sorted(self.own_preprocess or {}):
                raise ValueError(
                    f"variant {variant.id} has members with pictures {own} of their own, and others are prepared"
                )
        if not self.own_preprocess:
            return
        if self.preprocess is None or sorted(self.own_preprocess) != sorted(spec.name for spec in self.inputs[1:]):
            raise ValueError("own_preprocess: each input beside the first, and no other, is prepared for a member")

    def to_bytes(self) -> bytes:
        """Serialise canonically: sorted keys, no spaces, UTF-8, one closing newline."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            UnknownSchema: of a major version that this edgesdk does not read.
            BadBundle: not JSON, or a field is wrong.
        """
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadBundle(f"manifest.json is not JSON: {error}.", hint="Make the bundle again.") from error
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if isinstance(schema, str) and schema.startswith("agentrelease/"):
            raise BadBundle("This is a release of the agent's program, and no model.", hint="Give a .edgebundle.")
        if schema != SCHEMA:
            raise UnknownSchema(
                f"This bundle has the schema {schema!r}; this edgesdk reads {SCHEMA!r}.",
                hint="Update edgesdk on this machine, or convert the model again.",
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadBundle(
                f"manifest.json: {where or 'manifest'}: {first['msg']}.", hint="Make the bundle again."
            ) from error


def _members_files(variant: Variant) -> list[dict[str, str]]:
    """Return the files of each model that the variant has, by role."""
    if variant.together is None:
        return [variant.files]
    return [files_of(variant.files, place) for place in range(len(variant.together.members))]


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of `manifest.json`."""
    return Manifest.model_json_schema(by_alias=True)
