"""What has to be done to a picture before the model sees it, as data.

The order is fixed: colour, resize, then x = (pixel - mean) / std with pixel in 0..255.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from edgesdk_targets.late_model import LateModel

Color = Literal["rgb", "bgr", "gray"]
Resize = Literal["stretch", "letterbox", "center_crop"]
Interpolation = Literal["linear", "area", "nearest", "cubic"]

_IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

# Each preset is what the named exporters' own inference code does; the size comes from the model.
PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"color": "rgb", "resize": "center_crop", "crop_fraction": 0.875, **_IMAGENET},
    "ultralytics": {"color": "rgb", "resize": "letterbox", "pad": 114, "mean": (0, 0, 0), "std": (255, 255, 255)},
    "torchvision-detection": {"color": "rgb", "resize": "stretch", "mean": (0, 0, 0), "std": (255, 255, 255)},
    "detr": {"color": "rgb", "resize": "stretch", **_IMAGENET},
    "zero-one": {"color": "rgb", "resize": "stretch", "mean": (0, 0, 0), "std": (255, 255, 255)},
    "minus-one-one": {
        "color": "rgb",
        "resize": "stretch",
        "mean": (127.5, 127.5, 127.5),
        "std": (127.5, 127.5, 127.5),
    },
}


class Preprocess(LateModel):
    """Colour order, resize and normalisation of one image input.

    Attributes:
        color: the channel order that the model was trained with.
        resize: `stretch` to the size; `letterbox` keeps the aspect, centred, padded with `pad`;
            `center_crop` takes the centre square of `crop_fraction` of the short side.
        size: height and width of the model's input, pixels.
        mean, std: one value a channel, in pixel units (0..255).
        pad: value of the letterbox' border, 0..255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    color: Color = "rgb"
    resize: Resize = "stretch"
    size: tuple[int, int]
    interpolation: Interpolation = "linear"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    pad: int = Field(default=114, ge=0, le=255)
    crop_fraction: float = Field(default=0.875, gt=0.0, le=1.0)

    @model_validator(mode="before")
    @classmethod
    def _one_value_for_gray(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("color") == "gray":
            data = {"mean": (0.0,), "std": (255.0,), **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Preprocess:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std need {self.channels} value(s) for color {self.color!r}")
        if any(value == 0 for value in self.std):
            raise ValueError("std must not be 0")
        if min(self.size) < 1 or max(self.size) > 16384:
            raise ValueError(f"size must be within 1..16384 pixels, not {list(self.size)}")
        return self

    @property
    def channels(self) -> int:
        return 1 if self.color == "gray" else 3

    def unit_warning(self) -> str | None:
        """Say so when mean and std look like 0..1 units, the commonest mistake in a card."""
        if max(abs(v) for v in self.std) <= 2.0 and max(abs(v) for v in self.mean) <= 1.0:
            scaled = [round(255 * v, 3) for v in self.mean], [round(255 * v, 3) for v in self.std]
            return (
                f"preprocess.mean {list(self.mean)} and std {list(self.std)} look like 0..1 units, but they are applied "
                f"to pixels of 0..255; you probably mean mean {scaled[0]} and std {scaled[1]}"
            )
        return None
