"""What a tensor at a model's border is: name, shape, dtype and layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, field_validator

from edgesdk_targets.errors import InputError
from edgesdk_targets.late_model import LateModel

Array = NDArray[Any]
Layout = Literal["NCHW", "NHWC"]
DTYPES = ("float32", "float16", "uint8", "int8", "int32", "int64", "bool")

# A dimension above this is a mistake or an attack: it would be allocated before the first frame.
MAX_ELEMENTS = 1 << 30
DYNAMIC = -1


class TensorSpec(LateModel):
    """One input or output of a model.

    Attributes:
        name: the logical name; a runtime may call it otherwise inside its file.
        shape: all dimensions, batch first. An output whose size depends on the picture (boxes after a suppression
            inside the model) has -1 there; inputs are always static.
        dtype: numpy's name of the element type.
        layout: for images only, where the channels stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=256)
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: Layout | None = None

    @field_validator("shape")
    @classmethod
    def _static(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 and size != DYNAMIC for size in shape):
            raise ValueError(f"every dimension must be at least 1, not {list(shape)}")
        if math.prod(abs(size) for size in shape) > MAX_ELEMENTS:
            raise ValueError(f"{list(shape)} is more than {MAX_ELEMENTS} elements")
        return shape

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, dtype: str) -> str:
        if dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}; one of {', '.join(DTYPES)}")
        return dtype

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        return np.dtype(self.dtype)

    @property
    def dynamic(self) -> bool:
        """Whether the shape is known only after a run."""
        return DYNAMIC in self.shape

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.numpy_dtype.itemsize

    def empty(self) -> Array:
        """Allocate an array of this shape and dtype, C-contiguous, uninitialised."""
        return np.empty(self.shape, self.numpy_dtype)

    def check(self, array: Array) -> None:
        """Raise InputError unless `array` is a numpy array of exactly this shape and dtype."""
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"Tensor {self.name!r} is a {type(array).__name__}, but the model takes numpy arrays.",
                hint=f"Give `numpy.asarray(values, {self.dtype!r})` of shape {list(self.shape)}.",
            )
        if array.shape != self.shape or array.dtype != self.numpy_dtype:
            raise InputError(
                f"Tensor {self.name!r} is {list(array.shape)} {array.dtype}, "
                f"but the model takes {list(self.shape)} {self.dtype}.",
                hint="Give the model the shape and dtype of its specification (see `edgesdk bundle inspect`).",
            )


def check_feeds(specs: tuple[TensorSpec, ...], feeds: Mapping[str, Array]) -> None:
    """Check that `feeds` holds exactly the tensors of `specs`.

    Raises:
        InputError: a tensor is missing, unknown, or of another shape or dtype.
    """
    names = {spec.name for spec in specs}
    if set(feeds) != names:
        raise InputError(
            f"The model takes the inputs {sorted(names)}, not {sorted(feeds)}.",
            hint="Feed every input by its name.",
        )
    for spec in specs:
        spec.check(feeds[spec.name])
