"""How a TensorRT engine is built from a variant's ONNX: role `recipe` in the bundle, JSON.

The converter writes it and the device reads it, both by this one definition. Precision is in the graph (fp16 tensors and
casts, or symmetric QDQ); a TensorRT that keeps the graph's types has nothing to choose, and one without that mode (8.x)
is told `precision`.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_targets.errors import BadBundle
from edgesdk_targets.target import VERSION_PATTERN, Precision

Library = Literal["tensorrt", "tensorrt_rtx"]


class Recipe(BaseModel):
    """What the builder is told.

    Attributes:
        libraries: NVIDIA's Python packages that may build it, best first; TensorRT-RTX only for graphics cards.
        min_tensorrt: the oldest TensorRT that takes this ONNX; not asked of TensorRT-RTX, which counts otherwise.
        precision: what the graph's tensors are in.
        workspace_mb: scratch memory of the first try; each further one has a quarter.
        optimization_level: 0 (quick) to 5 (slow, fastest engine); None for the library's own choice.
    """

    model_config = ConfigDict(frozen=True)

    schema_id: Literal["tensorrt-recipe/1"] = Field(default="tensorrt-recipe/1", alias="schema")
    libraries: tuple[Library, ...] = Field(default=("tensorrt",), min_length=1)
    min_tensorrt: str | None = Field(default=None, pattern=VERSION_PATTERN)
    precision: Precision = Precision.FP32
    workspace_mb: int = Field(default=1024, ge=1)
    optimization_level: int | None = Field(default=None, ge=0, le=5)

    @property
    def workspaces_mb(self) -> tuple[int, ...]:
        """The scratch memory of each try."""
        return tuple(dict.fromkeys(max(1, self.workspace_mb // part) for part in (1, 4, 16)))

    def to_json(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def to_bytes(self) -> bytes:
        """Serialise canonically."""
        return json.dumps(self.to_json(), sort_keys=True, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Recipe:
        """Read a recipe; none means all defaults.

        Raises:
            BadBundle: not JSON, or a field is wrong.
        """
        try:
            return cls() if data is None else cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "recipe"
            raise BadBundle(
                f"The build recipe is wrong: {where}: {first['msg']}.", hint="Convert the model again."
            ) from error
