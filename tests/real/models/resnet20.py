"""ResNet-20 for CIFAR-10: the small residual network whose shortcuts hold no weights.

Where a stage halves the picture, the shortcut takes every second pixel and fills the new channels
with zeros, half of them before and half after the old ones.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.extra = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.extra:
            x = functional.pad(x, (0, 0, 0, 0, self.extra, self.extra))
        return functional.relu(x + y)


def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Build three blocks, of which the first changes size and channels."""
    later = [BasicBlock(outputs, outputs, 1) for _ in range(2)]
    return nn.Sequential(BasicBlock(inputs, outputs, stride), *later)


class ResNet20(nn.Module):
    """Classify a (1,3,32,32) normalised float32 image into logits (1,10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, 1)
        self.layer2 = stage(16, 32, 2)
        self.layer3 = stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(image)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def resnet20() -> nn.Module:
    """Build ResNet-20 without weights."""
    return ResNet20()
