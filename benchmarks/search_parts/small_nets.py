"""The family of networks that `benchmarks/search.py` searches: a few convolutions on pictures of 16 x 16."""

from __future__ import annotations

from torch import nn


def net(width: int = 16, depth: int = 2, growth: float = 1.5, kernel: int = 3, hidden: int = 0) -> nn.Module:
    """Build a classifier: image (1, 1, 16, 16) → logits (1, 10).

    Args:
        width: channels of the first layer.
        depth: convolutions; every one but the last halves the picture, down to 4 x 4.
        growth: how many times as many channels each further layer has.
        hidden: units between the features and the logits; 0 for none.
    """
    layers: list[nn.Module] = []
    channels, side = 1, 16
    for place in range(depth):
        out = max(2, round(width * growth**place))
        layers += [nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        if side > 4:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        channels = out
    features = channels * side * side
    head = [nn.Linear(features, 10)] if not hidden else [nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
    return nn.Sequential(*layers, nn.Flatten(), *head)
