"""The networks of the sample models, as the factories that the model cards name.

Each factory returns an untrained module; the weights lie beside the card. Outputs are what the cards' tasks ask for,
so everything that has to be decoded is decoded inside the module.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10
STATE = 80  # units of the streaming reader's memory


def detector() -> nn.Module:
    """Build the detector: image (1, 3, 192, 256) → boxes (1, 768, 4) xyxy in input pixels, scores (1, 768, 10)."""
    return Detector()


def classifier() -> nn.Module:
    """Build the classifier: image (1, 1, 32, 32) → logits (1, 10)."""
    return Classifier()


def row_reader() -> nn.Module:
    """Build the reader of whole rows: image (1, 1, 32, 160) → CTC logits (1, 20, 11), blank first."""
    return RowReader()


def row_reader_stream() -> nn.Module:
    """Build the reader of strips: image (1, 1, 32, 8) and two states → CTC logits (1, 1, 11) and both states anew."""
    return RowReaderStream()


def motion() -> nn.Module:
    """Build the model of clips: clip (1, 8, 1, 48, 64) → logits (1, 3) of left, right, still."""
    return Motion()


def _unit(inputs: int, outputs: int, *, stride: int = 1, padding: tuple[int, int] = (1, 1)) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Detector(nn.Module):
    """One box and ten scores for each cell of 8x8 pixels, without anchors."""

    height, width, stride = 192, 256, 8
    centres: Tensor
    _SCALE = 16.0  # the head's outputs are distances in this many pixels, which keeps them near 1

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(3, 16, stride=2),
            _unit(16, 24, stride=2),
            _unit(24, 48, stride=2),
            _unit(48, 48),
            _unit(48, 48),
            _unit(48, 64),
        )
        self.scores = nn.Conv2d(64, CLASSES, 1)
        self.distances = nn.Conv2d(64, 4, 1)
        self.scores.bias = nn.Parameter(torch.full((CLASSES,), -4.0))  # at first nothing is a digit
        self.distances.bias = nn.Parameter(torch.ones(4))
        y, x = torch.meshgrid(
            torch.arange(self.height // self.stride), torch.arange(self.width // self.stride), indexing="ij"
        )
        centres = (torch.stack([x, y]).float() + 0.5) * self.stride
        self.register_buffer("centres", centres[None], persistent=False)

    def raw(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores before the sigmoid (B, 10, 24, 32), and boxes (B, 4, 24, 32) in input pixels."""
        features = self.body(image)
        near, far = (self.distances(features) * self._SCALE).split(2, dim=1)
        return self.scores(features), torch.cat([self.centres - near, self.centres + far], dim=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect digits in pixels of 0..1."""
        logits, boxes = self.raw(image)
        return boxes.flatten(2).transpose(1, 2), logits.sigmoid().flatten(2).transpose(1, 2)


class Classifier(nn.Module):
    """Three convolutions, each halving the picture, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(1, 16), nn.MaxPool2d(2), _unit(16, 32), nn.MaxPool2d(2), _unit(32, 40), nn.MaxPool2d(2)
        )
        self.head = nn.Linear(40 * 4 * 4, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the ten digits."""
        logits: Tensor = self.head(self.body(image).flatten(1))
        return logits


class RowReader(nn.Module):
    """Convolutions down to one column for 8 pixels of width, then a recurrent layer that reads both ways."""

    def __init__(self, hidden: int = 40) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(1, 16, stride=2), _unit(16, 32), nn.MaxPool2d(2), _unit(32, 48), nn.MaxPool2d(2)
        )
        self.column = nn.Linear(48 * 4, 56)
        self.drop = nn.Dropout(0.2)
        self.memory = nn.GRU(56, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, CLASSES + 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of blank and the ten digits for each column."""
        columns = self.body(image).flatten(1, 2).transpose(1, 2)
        memory, _ = self.memory(self.drop(torch.relu(self.column(columns))))
        logits: Tensor = self.head(memory)
        return logits


class RowReaderStream(nn.Module):
    """Read a row strip by strip; what came before is in the two states alone.

    `seen` holds the pixels of the last two strips, so that the convolutions look at a window as wide as a digit; `h`
    is the recurrent layer's memory. The convolutions have no border on the left and right: what they answer for a
    window is what they answer there in the whole picture, so strip after strip gives what `sequence` gives.
    """

    strip, kept = 8, 16

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(1, 16, stride=2, padding=(1, 0)),
            _unit(16, 32, padding=(1, 0)),
            nn.MaxPool2d(2),
            _unit(32, 48, padding=(1, 0)),
            nn.MaxPool2d((2, 1)),
        )
        self.column = nn.Linear(48 * 4 * 2, 56)
        self.drop = nn.Dropout(0.2)
        self.memory = nn.GRU(56, STATE, batch_first=True)
        self.head = nn.Linear(STATE, CLASSES + 1)

    def forward(self, image: Tensor, h: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of one strip and both states for the next; they are zeros at the start of a row."""
        window = torch.cat([seen, image], dim=3)
        features = self.body(window).transpose(1, 3).flatten(1)
        logits, h_out = self._remember(features[:, None], h)
        return logits, h_out, window[..., self.strip :]

    def sequence(self, image: Tensor) -> Tensor:
        """Return the logits (B, T, 11) of whole pictures (B, 1, 32, 8 * T); for training."""
        columns = self.body(functional.pad(image, (self.kept, 0))).transpose(1, 3).flatten(2)
        # A window is two columns wide and moves by two: neighbouring pairs are the strips.
        features = columns.reshape(len(image), image.shape[3] // self.strip, -1)
        return self._remember(features, image.new_zeros(1, len(image), STATE))[0]

    def _remember(self, features: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        memory, h_out = self.memory(self.drop(torch.relu(self.column(features))), h)
        return self.head(memory), h_out


class Motion(nn.Module):
    """Convolutions that see the frames of a clip side by side, as if they were colours."""

    frames, directions = 8, 3

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_unit(self.frames, 16, stride=2), _unit(16, 16, stride=2), _unit(16, 24, stride=2))
        self.head = nn.Linear(24, self.directions)

    def forward(self, clip: Tensor) -> Tensor:
        """Return the logits of the directions; frames in the order of time, pixels of 0..1."""
        logits: Tensor = self.head(self.body(clip.flatten(1, 2)).mean((2, 3)))
        return logits
