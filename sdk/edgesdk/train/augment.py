"""Vary the pictures of a batch, as a plan declares it; the same seed varies them the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgesdk.train.batch import Batch, BoxTargets
from edgesdk.train.moved_boxes import moved_boxes
from edgesdk.train.plan import Augment
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Variation:
    """Vary prepared pictures.

    Args:
        augment: what is declared.
        preprocess, tensor: how the pictures were prepared: where black and white are, and where the channels stand.
    """

    def __init__(self, augment: Augment, preprocess: Preprocess, tensor: TensorSpec) -> None:
        import torch

        self._augment = augment
        self._last = tensor.layout == "NHWC"
        mean, std = torch.tensor(preprocess.mean), torch.tensor(preprocess.std)
        shape = (1, -1, 1, 1)
        self._black, self._white = ((0 - mean) / std).reshape(shape), ((255 - mean) / std).reshape(shape)

    @property
    def does_something(self) -> bool:
        """Whether anything is declared at all."""
        return self._augment != Augment()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return other pictures of the same shape and dtype, within black and white; boxes move with what they hold."""
        import torch

        images, targets = batch.images, batch.targets
        planes = (images.permute(0, 3, 1, 2) if self._last else images).float()
        if self._augment.moves:
            planes, taken = self._moved(planes, generator)
            if isinstance(targets, BoxTargets):
                targets = moved_boxes(targets, taken, (planes.shape[2], planes.shape[3]))
        planes = self._lit(planes, generator)
        if self._augment.noise:
            width = (self._white - self._black) * self._augment.noise
            planes = planes + torch.randn(planes.shape, generator=generator) * width
        planes = torch.minimum(torch.maximum(planes, self._black), self._white)
        out = planes.permute(0, 2, 3, 1) if self._last else planes
        out = out if images.is_floating_point() else out.round().to(images.dtype)
        return Batch(out.contiguous(), targets)

    def _moved(self, planes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turn, stretch, mirror and shift each picture; its edge goes on outside of it.

        Returns:
            the pictures, and (B, 2, 3) from where in the picture each place was taken, both from -1 to 1.
        """
        import torch
        from torch.nn import functional

        declared, count = self._augment, len(planes)
        height, width = planes.shape[2:]
        angle, stretch, right, down = (_between(count, most, generator) for most in (
            math.radians(declared.rotate), declared.scale, declared.shift * 2, declared.shift * 2
        ))  # fmt: skip
        mirrored = (
            torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0) if declared.flip else torch.ones(count)
        )
        size = 1 / (1 + stretch)
        # From where in the picture a place is taken; the sides' own lengths are the unit, so a turn needs their ratio.
        rows = (
            torch.stack([size * angle.cos() * mirrored, -size * angle.sin() * height / width, right], 1),
            torch.stack([size * angle.sin() * width / height * mirrored, size * angle.cos(), down], 1),
        )
        taken = torch.stack(rows, 1)
        grid = functional.affine_grid(taken, list(planes.shape), align_corners=False)
        moved = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return moved, taken

    def _lit(self, planes: Tensor, generator: torch.Generator) -> Tensor:
        declared, count, each = self._augment, len(planes), (-1, 1, 1, 1)
        if declared.contrast:
            middle = planes.mean((1, 2, 3), keepdim=True)
            planes = middle + (planes - middle) * (1 + _between(count, declared.contrast, generator).reshape(each))
        if declared.brightness:
            lighter = _between(count, declared.brightness, generator).reshape(each)
            planes = planes + lighter * (self._white - self._black)
        return planes


def _between(count: int, most: float, generator: torch.Generator) -> Tensor:
    """Draw numbers between -most and most."""
    import torch

    return (torch.rand(count, generator=generator) * 2 - 1) * most
