"""What a training needs to go on after a kill: written whole after each epoch, read without unpickling anything but tensors.

`last.ckpt` holds all of it, `best.safetensors` the weights of the best epoch alone. The best is written first: whatever ends the
process between the two, the epoch is trained again and writes the same.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.train.moment import EpochRecord
from edgesdk_converters.framework_edge import needs
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

LAST, BEST = "last.ckpt", "best.safetensors"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training between two epochs.

    Attributes:
        identity: of the training, see `edgesdk.train.identity`; one of another is refused.
        step: of the optimiser, over all epochs.
        history: of each epoch that is done.
        best: the epoch whose weights are kept.
        seconds: spent, over all runs.
        model, optimiser, rates: their states.
        random: the states of PyTorch's random numbers, by device.
    """

    identity: dict[str, str]
    step: int
    history: tuple[EpochRecord, ...]
    best: int
    seconds: float
    model: dict[str, Any]
    optimiser: dict[str, Any]
    rates: dict[str, Any]
    random: dict[str, Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `last.ckpt`.

    Raises:
        NoSpace, InputError: it cannot be written; the one of before stays.
    """
    import torch

    fields = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    fields["history"] = [asdict(record) for record in checkpoint.history]
    buffer = io.BytesIO()
    torch.save({"version": _VERSION, **fields}, buffer)
    write_whole(folder / LAST, buffer.getvalue())


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return what `last.ckpt` holds; None where there is none.

    Raises:
        InputError: it is damaged, or of another version.
    """
    import torch

    path = folder / LAST
    if not path.is_file():
        return None
    hint = f"Delete {path} to begin anew, or train in another folder."
    try:
        fields = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(fields, dict) or fields.pop("version", None) != _VERSION:
            raise InputError(f"{path} is no checkpoint of this version of edgesdk.", hint=hint)
        history = tuple(EpochRecord(**record) for record in fields.pop("history"))
        return Checkpoint(history=history, **fields)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, TypeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", hint=hint) from error


def write_weights(path: Path, model: nn.Module) -> None:
    """Write a model's weights as safetensors.

    Raises:
        NoSpace, InputError: the file cannot be written.
        MissingExtra: safetensors is not installed.
    """
    write_whole(path, weights_bytes(model))


def weights_bytes(model: nn.Module) -> bytes:
    """Return a model's weights as safetensors; of tensors that share memory, each is written.

    Raises:
        MissingExtra: safetensors is not installed.
    """
    with needs("safetensors", extra="torch"):
        from safetensors.torch import save
    import torch

    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
    return save(state)


def load_weights(path: Path, model: nn.Module) -> None:
    """Put weights that `write_weights` wrote back into a model."""
    from safetensors.torch import load_file

    own, kept = model.state_dict(), load_file(path)
    # What is no tensor (a module's extra state) was not written, and stays as it is.
    model.load_state_dict({name: kept.get(name, value) for name, value in own.items()})
