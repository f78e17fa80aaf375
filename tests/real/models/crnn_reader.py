"""A reader of single words: CNN down to one row, bidirectional LSTM along it, CTC classes at each step."""

from __future__ import annotations

from torch import Tensor, nn


def conv(inputs: int, outputs: int, *, norm: bool = False) -> list[nn.Module]:
    """Build a 3x3 convolution that keeps the size, batch norm where asked, ReLU."""
    norms: list[nn.Module] = [nn.BatchNorm2d(outputs)] if norm else []
    return [nn.Conv2d(inputs, outputs, 3, padding=1), *norms, nn.ReLU()]


def flat_pool() -> nn.Module:
    """Build the pool that halves the height and keeps the width (and one column more)."""
    return nn.MaxPool2d((2, 2), (2, 1), (0, 1))


class CrnnReader(nn.Module):
    """Read a (1,1,32,128) float32 picture in -1..1 into logits (1,33,66); class 0 is CTC's blank."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            *conv(1, 64),
            nn.MaxPool2d(2),
            *conv(64, 128),
            nn.MaxPool2d(2),
            *conv(128, 256, norm=True),
            *conv(256, 256),
            flat_pool(),
            *conv(256, 512, norm=True),
            flat_pool(),
            nn.Conv2d(512, 512, 2),
            nn.BatchNorm2d(512),
            nn.ReLU(),
        )
        self.rnn = nn.LSTM(512, 256, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(512, 66)

    def forward(self, image: Tensor) -> Tensor:
        steps = self.cnn(image).squeeze(2).transpose(1, 2)
        logits: Tensor = self.fc(self.rnn(steps)[0])
        return logits


def crnn_reader() -> nn.Module:
    """Build the reader without weights."""
    return CrnnReader()
