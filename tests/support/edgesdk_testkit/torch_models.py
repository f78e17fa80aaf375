"""Small torch models, always with the same weights, and what the converters make of them (made once a run)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Array = NDArray[Any]


class Classifier(nn.Module):
    """Convolutions with batch norm, depthwise, ReLU6, SiLU, pooling."""

    SHAPES = ((1, 3, 32, 32),)
    OUTPUTS = ("logits",)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.features(x).mean((2, 3)))
        return y


class Reader(nn.Module):
    """A column encoder and a GRU in both directions, as text readers have."""

    SHAPES = ((1, 1, 8, 12),)
    OUTPUTS = ("logits",)

    def __init__(self) -> None:
        super().__init__()
        self.columns = nn.Conv2d(1, 6, (8, 3), padding=(0, 1))
        self.rnn = nn.GRU(6, 5, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.columns(x)).squeeze(2).permute(0, 2, 1)
        z: Tensor = self.head(self.rnn(y)[0])
        return z


class Detector(nn.Module):
    """Two feature maps joined by an upsampling, boxes in pixels and scores apart."""

    SHAPES = ((1, 3, 32, 32),)
    OUTPUTS = ("boxes", "scores")

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.down = nn.Conv2d(8, 8, 3, 2, 1)
        self.boxes = nn.Conv2d(16, 4, 1)
        self.scores = nn.Conv2d(16, 3, 1)
        # Two constants of one shape that are not contiguous: litert-torch once wrote the first for both.
        ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        self.register_buffer("centres", torch.stack((xs, ys, xs, ys)).reshape(4, 256).t().unsqueeze(0))
        self.register_buffer("spread", torch.rand(4, 256).t().unsqueeze(0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = torch.relu(self.stem(x))
        coarse = functional.interpolate(torch.relu(self.down(fine)), scale_factor=2.0, mode="nearest")
        both = torch.cat([fine, coarse], 1)
        offsets = self.boxes(both).flatten(2).transpose(1, 2)
        boxes = (offsets * self.get_buffer("spread") + self.get_buffer("centres")) * 2.0
        return boxes, self.scores(both).sigmoid().flatten(2).transpose(1, 2)


class Streaming(nn.Module):
    """One frame's features and the state in, scores and the new state out."""

    SHAPES = ((1, 6), (1, 5))
    OUTPUTS = ("scores", "state_out")

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(x, state)
        return self.head(state), state


class Unsupported(nn.Module):
    """An op that no converter has, inside a named part."""

    SHAPES = ((1, 4),)
    OUTPUTS = ("y",)

    class Bessel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j0(x) + 1

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(4, 4), Unsupported.Bessel())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(x)
        return y


class Branching(nn.Module):
    """A branch that depends on the values of the picture."""

    SHAPES = ((1, 4),)
    OUTPUTS = ("y",)

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x - 1


MODELS: dict[str, Any] = {
    kind.__name__.lower(): kind for kind in (Classifier, Reader, Detector, Streaming, Unsupported, Branching)
}


def make(name: str) -> nn.Module:
    """Build a model with its fixed weights, in eval mode."""
    generator = torch.random.get_rng_state()
    try:
        torch.manual_seed(7)
        module: nn.Module = MODELS[name]()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    finally:
        torch.random.set_rng_state(generator)
    return module.eval()


def example(name: str) -> tuple[Tensor, ...]:
    """Zeros for each input."""
    return tuple(torch.zeros(shape) for shape in MODELS[name].SHAPES)


def inputs(name: str) -> tuple[str, ...]:
    return tuple(f"input_{number}" for number in range(len(MODELS[name].SHAPES)))


def feeds(name: str) -> tuple[Array, ...]:
    """Values for each input that are not the example's."""
    random = np.random.default_rng(11)
    return tuple(random.random(shape).astype(np.float32) for shape in MODELS[name].SHAPES)


def answers(module: nn.Module, given: Sequence[Array]) -> list[Array]:
    """What torch says."""
    with torch.no_grad():
        said = module(*map(torch.from_numpy, given))
    return [item.numpy() for item in (said if isinstance(said, tuple) else (said,))]


@functools.cache
def onnx_of(name: str) -> bytes:
    from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch

    return onnx_from_torch(make(name), example(name), input_names=inputs(name), output_names=MODELS[name].OUTPUTS)


@functools.cache
def litert_of(name: str) -> bytes:
    from edgesdk_converters.steps.litert_from_torch import litert_from_torch

    return litert_from_torch(make(name), example(name), precision="fp32")


def run_onnx(content: bytes, given: Mapping[str, Array]) -> list[Array]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    said: list[Array] = session.run(None, dict(given))
    return said


def run_litert(content: bytes, given: Sequence[Array]) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    said = runner(**{f"args_{number}": value for number, value in enumerate(given)})
    return [said[f"output_{number}"] for number in range(len(said))]


def sqnr_db(wanted: Array, got: Array) -> float:
    """Signal to difference, in dB; 200 where there is no difference."""
    if wanted.shape != got.shape:
        raise AssertionError(f"shapes differ: {wanted.shape} and {got.shape}")
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    noise = float(((wanted - got) ** 2).sum())
    return 200.0 if noise == 0 else min(200.0, 10 * float(np.log10((wanted**2).sum() / noise)))


def worst_db(wanted: Sequence[Array], got: Sequence[Array]) -> float:
    """The lowest figure over the outputs."""
    if len(wanted) != len(got):
        raise AssertionError(f"{len(wanted)} outputs and {len(got)}")
    return min(sqnr_db(a, b) for a, b in zip(wanted, got, strict=True))
