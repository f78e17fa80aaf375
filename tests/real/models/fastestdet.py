"""FastestDet for COCO's 80 classes: ShuffleNetV2, one 22x22 map, one box a cell, decoded inside.

The score of a class in a cell is objectness^0.6 * class^0.4, so that the best class of a cell has the
score which the authors' own decoding gives it. Boxes leave in input pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, CELLS, CLASSES = 352, 22, 80


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Build a convolution that keeps the size (over the stride), with batch norm."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


class ShuffleBlock(nn.Module):
    """One ShuffleNetV2 unit: the mixing of channels is which of them pass through untouched."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        mid = outputs // 2
        entering = inputs if stride == 2 else inputs // 2
        self.branch_main = nn.Sequential(
            *conv(entering, mid),
            nn.ReLU(),
            *conv(mid, mid, 3, stride, groups=mid),
            *conv(mid, outputs - entering),
            nn.ReLU(),
        )
        self.halves = stride == 2
        if self.halves:
            self.branch_proj = nn.Sequential(
                *conv(inputs, inputs, 3, 2, groups=inputs), *conv(inputs, inputs), nn.ReLU()
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.halves:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Build a stage that halves the map in its first block."""
    later = [ShuffleBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(ShuffleBlock(inputs, outputs, 2), *later)


class ShuffleNetV2(nn.Module):
    """Return the maps at strides 8, 16 and 32 with 48, 96 and 192 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*conv(3, 24, 3, 2), nn.ReLU())
        self.stage2 = stage(24, 48, 4)
        self.stage3 = stage(48, 96, 8)
        self.stage4 = stage(96, 192, 4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = functional.max_pool2d(self.first_conv(image), 3, 2, 1)
        fine = self.stage2(x)
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)


class Conv1x1(nn.Module):
    """Mix channels; batch norm; ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*conv(inputs, outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1x1(x)
        return y


class Pyramid(nn.Module):
    """See the map at three widths: one, two and three 5x5 filters in a row, joined to the input."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.Conv1x1 = Conv1x1(inputs, channels)
        self.S1, self.S2, self.S3 = (self._chain(channels, length) for length in (1, 2, 3))
        self.output = nn.Sequential(*conv(channels * 3, channels))

    @staticmethod
    def _chain(channels: int, length: int) -> nn.Sequential:
        links = [(*conv(channels, channels, 5, 1, channels), nn.ReLU()) for _ in range(length)]
        return nn.Sequential(*(layer for link in links for layer in link))

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv1x1(x)
        wide = torch.cat((self.S1(x), self.S2(x), self.S3(x)), 1)
        return functional.relu(x + self.output(wide))


class Head(nn.Module):
    """Predict `outputs` numbers a cell."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        wide = conv(channels, channels, 5, 1, channels)
        self.conv5x5 = nn.Sequential(*wide, nn.ReLU(), *conv(channels, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv5x5(x)
        return y


class DetectHead(nn.Module):
    """Predict objectness, box and class of each cell, still undecoded."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1x1 = Conv1x1(channels, channels)
        self.obj_layers = Head(channels, 1)
        self.reg_layers = Head(channels, 4)
        self.cls_layers = Head(channels, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.conv1x1(x)
        return self.obj_layers(x), self.reg_layers(x), self.cls_layers(x)


class FastestDet(nn.Module):
    """Detect in a BGR image (1,3,352,352) of 0..1: boxes (1,484,4) xyxy in pixels, scores (1,484,80)."""

    columns: Tensor
    rows: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ShuffleNetV2()
        self.SPP = Pyramid(48 + 96 + 192, 96)
        self.detect_head = DetectHead(96)
        rows, columns = torch.meshgrid(*[torch.arange(CELLS, dtype=torch.float32)] * 2, indexing="ij")
        # Not persistent: the authors' weights know no such tensors, and loading is strict.
        self.register_buffer("columns", columns.reshape(1, -1), persistent=False)
        self.register_buffer("rows", rows.reshape(1, -1), persistent=False)

    def raw(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return objectness (1,1,22,22), box (1,4,22,22) and class logits (1,80,22,22)."""
        fine, middle, coarse = self.backbone(image)
        fine = functional.avg_pool2d(fine, 3, 2, 1)
        coarse = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        objectness, box, classes = self.detect_head(self.SPP(torch.cat((fine, middle, coarse), 1)))
        return torch.sigmoid(objectness), box, torch.softmax(classes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        objectness, box, classes = (x.flatten(2) for x in self.raw(image))
        step = SIDE / CELLS
        x = (torch.tanh(box[:, 0]) + self.columns) * step
        y = (torch.tanh(box[:, 1]) + self.rows) * step
        half_width = torch.sigmoid(box[:, 2]) * (SIDE / 2)
        half_height = torch.sigmoid(box[:, 3]) * (SIDE / 2)
        boxes = torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), 2)
        scores = objectness**0.6 * classes**0.4
        return boxes, scores.transpose(1, 2)


def fastestdet() -> nn.Module:
    """Build FastestDet without weights."""
    return FastestDet()
