"""What a family of runtimes is handed when an INT8 artifact is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesdk_converters.int8.calibrating import Calibrating


@dataclass(frozen=True, slots=True)
class Int8Order:
    """What INT8 is made with.

    Attributes:
        model: the float ONNX file that is quantised; its nodes are those of `Workshop.onnx`, its weights may be others.
        keep_float: names of ONNX nodes that stay in float.
        last_resort: go the family's other way to INT8, where it has one.
        seven_bits: weights in half their range, for processors whose 8-bit products overflow.
        tuned: the model's weights were chosen for 8 bits: a family that cannot have this very model fails.
    """

    calibrating: Calibrating
    model: bytes
    keep_float: tuple[str, ...] = ()
    last_resort: bool = False
    seven_bits: bool = False
    tuned: bool = False

    def to_json(self) -> dict[str, object]:
        """Return what the result depends on: the pictures, and how they become the model's inputs."""
        own = {"keep_float": list(self.keep_float), "last_resort": self.last_resort, "seven_bits": self.seven_bits}
        return {**self.calibrating.to_json(), **own}
