"""ResNet-20 as the card's factory: K. He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2.

Three stages of three blocks with 16, 32 and 64 channels; where a stage begins, the shortcut is a 1x1 convolution (option B).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def resnet20(classes: int = 10, width: int = 16) -> nn.Module:
    """Build the model: image (B, 1, 32, 32) → logits (B, classes)."""
    return ResNet20(classes, width)


class Block(nn.Module):
    """Two convolutions, and what goes past them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet20(nn.Module):
    """The network."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(3):
            for number in range(3):
                outputs = width << stage
                blocks.append(Block(inputs, outputs, 2 if stage > 0 and number == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, image: Tensor) -> Tensor:
        features = self.blocks(functional.relu(self.bn(self.conv(image)))).mean((2, 3))
        logits: Tensor = self.head(features)
        return logits
