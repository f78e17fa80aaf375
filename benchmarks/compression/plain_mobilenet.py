"""MobileNetV1 0.25 (person or none) of PyTorch's own convolutions, with the names of the weights that are delivered.

The usual definition derives a convolution that pads as TensorFlow does; the passes for single layers leave derived ones alone, as
what these do with their weights is not known. At 96x96 all that is to be done is an odd pixel on the right and at the bottom where
a side is halved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Channels, and by what the sides are divided.
_BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))
_ODD = (0, 1, 0, 1)


class Separable(nn.Module):
    """Filter each channel, then mix the channels; ReLU after both."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.halves = stride == 2
        self.dw: nn.Module = nn.Conv2d(inputs, inputs, 3, stride, 0 if self.halves else 1, groups=inputs)
        self.pw: nn.Module = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        filtered = functional.relu(self.dw(functional.pad(x, _ODD) if self.halves else x))
        return functional.relu(self.pw(filtered))


class PlainMobileNetV1(nn.Module):
    """Image (1, 3, 96, 96) float32, 0..1 → probabilities (1, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem: nn.Module = nn.Conv2d(3, 8, 3, 2)
        blocks, inputs = [], 8
        for channels, stride in _BLOCKS:
            blocks.append(Separable(inputs, channels, stride))
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier: nn.Module = nn.Conv2d(inputs, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(functional.relu(self.stem(functional.pad(image, _ODD))))
        return torch.softmax(self.classifier(x.mean((2, 3), keepdim=True)).flatten(1), 1)


def vww_mobilenet_v1() -> nn.Module:
    """Build the model without weights."""
    return PlainMobileNetV1()
