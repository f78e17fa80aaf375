"""What the sample models see of a picture: the same `Preprocess` as in their cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from edgesdk_targets.card import CardFile, read_card
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

Array = NDArray[Any]

HERE = Path(__file__).parent


def card(name: str) -> dict[str, Any]:
    """Return the model card of a sample model as plain data."""
    data: dict[str, Any] = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def card_file(name: str) -> CardFile:
    """Return the model card of a sample model, read and checked."""
    return read_card(HERE / f"{name}.yaml")


class Inputs:
    """Turn pictures into batches for one sample model.

    Args:
        name: the model, by its card.
        size: height and width instead of the card's; for rows of another length.
    """

    def __init__(self, name: str, *, size: tuple[int, int] | None = None) -> None:
        fields = dict(card(name)["preprocess"])
        if size is not None:
            fields["size"] = size
        spec = Preprocess(**fields)
        tensor = TensorSpec(name="image", shape=(1, spec.channels, *spec.size), layout="NCHW")
        self._preprocessor = Preprocessor(spec, tensor)
        self._shape = tensor.shape

    def batch(self, images: list[Array]) -> torch.Tensor:
        """Preprocess (H, W, 3) uint8 BGR pictures into one float32 tensor (B, C, H, W)."""
        out = np.empty((len(images), *self._shape[1:]), np.float32)
        for number, image in enumerate(images):
            self._preprocessor.into(image, out[number : number + 1])
        return torch.from_numpy(out)
