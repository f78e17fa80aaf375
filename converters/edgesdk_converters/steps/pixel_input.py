"""Normalisation inside a torch model: pixels (uint8, NHWC) in, and the model behind it as it was.

The subtraction comes before the change of layout, so that a converter to an NHWC format folds the scale into the first
convolution and drops the transposition.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.errors import InputError

INNER = "normalised_model"  # the attribute below, as paths of submodules show it


class PixelInput(nn.Module):
    """Take (N,H,W,C) uint8 where the model inside takes (N,C,H,W) float32; further inputs go through."""

    def __init__(self, inner: nn.Module, fold: Fold) -> None:
        super().__init__()
        self.normalised_model = inner
        self.register_buffer("mean", torch.tensor(fold.mean, dtype=torch.float32))
        self.register_buffer("scale", (1 / torch.tensor(fold.std, dtype=torch.float64)).to(torch.float32))
        self.training = False  # `.eval()` would ask the inner one too, and an exported program refuses

    def forward(self, pixels: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        normal = (pixels.to(torch.float32) - self.get_buffer("mean")) * self.get_buffer("scale")
        answer: Tensor | tuple[Tensor, ...] = self.normalised_model(normal.permute(0, 3, 1, 2), *others)
        return answer


def pixel_example(example: Sequence[Tensor], fold: Fold) -> tuple[Tensor, ...]:
    """Return the example with the first input as pixels.

    Raises:
        InputError: the first input is no float picture with as many channels as the fold has values.
    """
    first = example[0]
    if first.dim() != 4 or first.dtype != torch.float32 or first.shape[1] != len(fold.mean):
        raise InputError(
            f"Normalisation for {fold.color_to} cannot be built into an input of shape {tuple(first.shape)}, {first.dtype}.",
            hint=f"The input must be float32, (batch, {len(fold.mean)}, height, width); correct the model card.",
        )
    batch, channels, height, width = first.shape
    return (torch.zeros(batch, height, width, channels, dtype=torch.uint8), *example[1:])
