"""MobileNetV2 1.0 (ImageNet, 1001 classes) and MobileNetV1 0.25 (person or not), batch norm folded.

Both come from TensorFlow, so a convolution pads as TensorFlow's SAME does: the whole padding is what
the output size asks for, and an odd pixel goes to the right and the bottom. Symmetric padding loads
the same weights and silently answers worse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# (expansion, channels, repeats, first stride), MobileNetV2's table
V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# (channels, stride), MobileNetV1 at width 0.25
V1_BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many pixels SAME puts before and after an axis of `size` pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv(nn.Conv2d):
    """Convolve with a bias and TensorFlow's SAME padding; (1,C,H,W) float32 in and out."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[2], kernel, stride)
        left, right = same_padding(x.shape[3], kernel, stride)
        if top == bottom == left == right:
            return functional.conv2d(x, self.weight, self.bias, stride, top, 1, self.groups)
        return super().forward(functional.pad(x, (left, right, top, bottom)))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion > 1:
            self.expand = SameConv(inputs, inner)
        self.expands = expansion > 1
        self.dw = SameConv(inner, inner, 3, stride, groups=inner)
        self.project = SameConv(inner, outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.relu6(self.expand(x)) if self.expands else x
        y = self.project(functional.relu6(self.dw(y)))
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    """Classify a (1,3,224,224) float32 image in -1..1 into logits (1,1001); class 0 is "background"."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, channels, repeats, first_stride in V2_STAGES:
            for index in range(repeats):
                stride = 1 if index else first_stride
                blocks.append(InvertedResidual(inputs, channels, stride, expansion))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(inputs, 1280)
        self.classifier = SameConv(1280, 1001)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(functional.relu6(self.stem(image)))
        x = functional.relu6(self.head(x)).mean((2, 3), keepdim=True)
        logits: Tensor = self.classifier(x)
        return logits.flatten(1)


class Separable(nn.Module):
    """Filter each channel, then mix the channels; ReLU after both."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.dw = SameConv(inputs, inputs, 3, stride, groups=inputs)
        self.pw = SameConv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.pw(functional.relu(self.dw(x))))


class PersonMobileNetV1(nn.Module):
    """Say whether a person is in a (1,3,96,96) float32 image in 0..1: probabilities (1,2), index 1 is yes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 8, 3, 2)
        blocks, inputs = [], 8
        for channels, stride in V1_BLOCKS:
            blocks.append(Separable(inputs, channels, stride))
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = SameConv(inputs, 2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(functional.relu(self.stem(image)))
        x = self.classifier(x.mean((2, 3), keepdim=True)).flatten(1)
        return torch.softmax(x, 1)


def mobilenet_v2() -> nn.Module:
    """Build MobileNetV2 without weights."""
    return MobileNetV2()


def vww_mobilenet_v1() -> nn.Module:
    """Build the person classifier without weights."""
    return PersonMobileNetV1()
