"""How large a model is: numbers, work, and the bytes that its weights take."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgesdk.compression.subject import Subject
from edgesdk_targets.errors import InputError

# The level of a bundle's own files.
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class ModelSize:
    """A model's size; what several layers share is counted once.

    Attributes:
        parameters: numbers in weights, biases and the running figures of normalisations.
        nonzeros: those that are not 0.
        macs: multiplications with addition of one inference: convolutions, matrix products, recurrent layers.
        bytes: of the numbers as they are stored.
        deflated_bytes: of the same, as deflate (level 6, as in a bundle) leaves them.
    """

    parameters: int
    nonzeros: int
    macs: int
    bytes: int
    deflated_bytes: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def model_size(subject: Subject) -> ModelSize:
    """Measure a model.

    Raises:
        InputError: it does not run on its example.
    """
    tensors = stored_tensors(subject.module)
    return ModelSize(
        parameters=sum(tensor.numel() for tensor in tensors),
        nonzeros=sum(int(torch.count_nonzero(tensor)) for tensor in tensors),
        macs=sum(macs_by_layer(subject).values()),
        bytes=stored_bytes(subject),
        deflated_bytes=deflated_bytes(tensors),
    )


def stored_bytes(subject: Subject) -> int:
    """Return the bytes of a model's numbers as they are stored."""
    return sum(tensor.numel() * tensor.element_size() for tensor in stored_tensors(subject.module))


def deflated_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of numbers, one after the other, as deflate leaves them."""
    deflate = zlib.compressobj(_LEVEL)
    deflated = sum(len(deflate.compress(_raw(tensor))) for tensor in tensors)
    return deflated + len(deflate.flush())


def stored_tensors(module: nn.Module) -> list[Tensor]:
    """Return a model's numbers, each tensor once, without the counters that only training reads."""
    seen: dict[tuple[int, int], Tensor] = {}
    for name, tensor in module.state_dict().items():
        if tensor.numel() and not name.endswith("num_batches_tracked"):
            seen.setdefault((tensor.data_ptr(), tensor.numel()), tensor)
    return list(seen.values())


def total_macs(subject: Subject) -> int:
    """Count the multiplications with addition of one inference of a batch of one."""
    return sum(macs_by_layer(subject).values())


def macs_by_layer(subject: Subject) -> Mapping[str, int]:
    """Count the multiplications with addition of each layer; those outside of any layer are under an empty name.

    PyTorch's own counter sees every matrix product and convolution as it runs, whatever module asks for it.

    Raises:
        InputError: the model does not run on its example.
    """
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), _without_onednn(), counter:
            subject.module(*subject.example)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"The model does not run on its example: {type(error).__name__}: {error}",
            hint="Correct `input.shape` in the card.",
        ) from error
    counts = {name: sum(ops.values()) // 2 for name, ops in counter.get_flop_counts().items()}
    return _own(counts, counter.get_total_flops() // 2)


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Let recurrent layers run as matrix products: oneDNN's one operation for all of it is unknown to the counter."""
    with warnings.catch_warnings():
        # It warns of what it sets beside, for graphics processors that are not there.
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _own(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Take from the counts of whole parts those of the layers in them."""
    names = {name.partition(".")[2]: count for name, count in counts.items() if "." in name}
    leaves = {name: n for name, n in names.items() if not any(other.startswith(f"{name}.") for other in names)}
    return {**leaves, "": total - sum(leaves.values())}


def _raw(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
