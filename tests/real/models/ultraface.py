"""UltraFace RFB-320: a face detector with anchors on four maps, decoded inside.

Anchors are square in pixels and centred on cells whose pitch is the picture's side over the map's
side, clipped to the picture; a box is an offset from its anchor, weighted by the variances. Boxes
leave in input pixels, scores without the background column.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEIGHT = 320, 240
# (columns, rows) of a map, and the sides in pixels of the anchors at each of its cells
MAPS = (
    ((40, 30), (10, 16, 24)),
    ((20, 15), (32, 48)),
    ((10, 8), (64, 96)),
    ((5, 4), (128, 192, 256)),
)
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


def anchors() -> Tensor:
    """Return (4420,4) anchors as centre x, centre y, width, height in input pixels."""
    found = [
        ((column + 0.5) / columns * WIDTH, (row + 0.5) / rows * HEIGHT, float(side), float(side))
        for (columns, rows), sides in MAPS
        for row in range(rows)
        for column in range(columns)
        for side in sides
    ]
    picture = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=torch.float32)
    return torch.minimum(torch.tensor(found), picture)


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Build a 3x3 filter of each channel and a mixing of channels, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def plain_separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Build the same without batch norm and without the last ReLU, as the heads have it."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1)
    )


class NormedConv(nn.Module):
    """Convolve (3x3 dilated, or 1x1 where dilation is 0), batch norm, ReLU where asked."""

    def __init__(self, inputs: int, outputs: int, dilation: int, *, relu: bool) -> None:
        super().__init__()
        kernel, step = (3, dilation) if dilation else (1, 1)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=dilation, dilation=step, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return functional.relu(y) if self.relu else y


class ReceptiveFieldBlock(nn.Module):
    """See the map through three branches of growing dilation, joined and added to a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch0 = self._branch(channels, (16,), 2)
        self.branch1 = self._branch(channels, (16,), 3)
        self.branch2 = self._branch(channels, (12, 16), 5)
        self.ConvLinear = NormedConv(48, channels, 0, relu=False)
        self.shortcut = NormedConv(channels, channels, 0, relu=False)

    @staticmethod
    def _branch(channels: int, middle: tuple[int, ...], dilation: int) -> nn.Sequential:
        layers = [NormedConv(channels, channels // 8, 0, relu=False)]
        for inputs, outputs in zip((channels // 8, *middle), middle, strict=False):
            layers.append(NormedConv(inputs, outputs, 1, relu=True))
        return nn.Sequential(*layers, NormedConv(middle[-1], 16, dilation, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), 1)
        return functional.relu(self.ConvLinear(joined) + self.shortcut(x))


def backbone() -> nn.ModuleList:
    """Build the thirteen layers whose 7th, 10th and 12th (from 0) feed the heads."""
    first = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return nn.ModuleList(
        [
            first,
            separable(16, 32),
            separable(32, 32, 2),
            separable(32, 32),
            separable(32, 64, 2),
            separable(64, 64),
            separable(64, 64),
            ReceptiveFieldBlock(64),
            separable(64, 128, 2),
            separable(128, 128),
            separable(128, 128),
            separable(128, 256, 2),
            separable(256, 256),
        ]
    )


def heads(numbers: int) -> nn.ModuleList:
    """Build the four heads that give `numbers` numbers an anchor."""
    counts = [len(sides) * numbers for _, sides in MAPS]
    sources = (64, 128, 256)
    lighter = [plain_separable(source, count) for source, count in zip(sources, counts, strict=False)]
    return nn.ModuleList([*lighter, nn.Conv2d(256, counts[3], 3, padding=1)])


class UltraFace(nn.Module):
    """Find faces in a (1,3,240,320) float32 image: boxes (1,4420,4) xyxy in pixels, scores (1,4420,1)."""

    anchors: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.base_net = backbone()
        # The ReLU between the two convolutions is index 1: it has no weights but holds the place.
        extra = nn.Sequential(nn.Conv2d(256, 64, 1), nn.ReLU(), plain_separable(64, 256, 2), nn.ReLU())
        self.extras = nn.ModuleList([extra])
        self.regression_headers = heads(4)
        self.classification_headers = heads(2)
        self.register_buffer("anchors", anchors()[None], persistent=False)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the four maps that the heads look at."""
        found = []
        for index, layer in enumerate(self.base_net):
            x = layer(x)
            if index in (7, 10, 12):
                found.append(x)
        return [*found, self.extras[0](x)]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.maps(image)
        offsets = self._rows(maps, self.regression_headers, 4)
        classes = self._rows(maps, self.classification_headers, 2)
        centre = offsets[..., :2] * CENTRE_VARIANCE * self.anchors[..., 2:] + self.anchors[..., :2]
        half = torch.exp(offsets[..., 2:] * SIZE_VARIANCE) * self.anchors[..., 2:] / 2
        boxes = torch.cat((centre - half, centre + half), 2)
        return boxes, torch.softmax(classes, 2)[..., 1:]

    @staticmethod
    def _rows(maps: list[Tensor], layers: nn.ModuleList, numbers: int) -> Tensor:
        """Put what each head says into one row an anchor: (1,4420,numbers)."""
        parts = [head(x).permute(0, 2, 3, 1).flatten(1) for head, x in zip(layers, maps, strict=True)]
        return torch.cat(parts, 1).reshape(1, -1, numbers)


def ultraface() -> nn.Module:
    """Build UltraFace without weights."""
    return UltraFace()
