"""Tiny torch models in which compression finds everything it has to deal with; factories, always with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgesdk.compression.subject import Subject


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class Residual(nn.Module):
    """A stem, two blocks, a depthwise convolution, a classifier."""

    def __init__(self, width: int = 8, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.one = Block(width, width, 1)
        self.two = Block(width, 2 * width, 2)
        self.depth = nn.Conv2d(2 * width, 2 * width, 3, 1, 1, groups=2 * width)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.one(torch.relu(self.bn(self.stem(x)))))
        answer: Tensor = self.head(self.depth(y).mean((2, 3)))
        return answer


class Reader(nn.Module):
    """Columns, a recurrent layer in both directions, a classifier of each step."""

    def __init__(self, kind: str = "LSTM") -> None:
        super().__init__()
        self.columns = nn.Conv2d(1, 24, (8, 3), padding=(0, 1))
        self.rnn = getattr(nn, kind)(24, 16, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.columns(x)).squeeze(2).permute(0, 2, 1)
        answer: Tensor = self.head(self.rnn(y)[0])
        return answer


class Untraceable(nn.Module):
    """No gradient comes through its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.middle = Cut()
        self.last = nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last(self.middle(self.first(x)))
        return answer


class Cut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)


SHAPES: dict[str, tuple[int, ...]] = {
    "residual": (1, 3, 16, 16),
    "reader": (1, 1, 8, 12),
    "untraceable": (1, 3, 16, 16),
}


def residual(**arguments: Any) -> nn.Module:
    """A factory, as a card names it."""
    return _lively(Residual, **arguments)


def reader(**arguments: Any) -> nn.Module:
    """A factory, as a card names it."""
    return _lively(Reader, **arguments)


def untraceable() -> nn.Module:
    """A factory, as a card names it."""
    return _lively(Untraceable)


def subject(name: str, **arguments: Any) -> Subject:
    """A model ready for a pass, with an input that is not zeros."""
    module = {"residual": residual, "reader": reader, "untraceable": untraceable}[name](**arguments)
    drawn = torch.Generator().manual_seed(3)
    return Subject(module.eval(), (torch.randn(SHAPES[name], generator=drawn),))


def _lively(net: type[nn.Module], /, **arguments: Any) -> nn.Module:
    """Build a model whose normalisations do something."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = net(**arguments)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                    assert tensor is not None
                    nn.init.uniform_(tensor, 0.5, 1.5)
    return module.eval()
