"""Pictures are varied as declared, and no further."""

from __future__ import annotations

import pytest

from edgesdk.train.augment import Variation
from edgesdk.train.plan import Augment
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

torch = pytest.importorskip("torch")

SPEC = Preprocess(color="rgb", resize="stretch", size=(12, 20), mean=(100, 110, 120), std=(50, 60, 70))
LOW = torch.tensor([-2.0, -110 / 60, -120 / 70]).reshape(1, 3, 1, 1)
HIGH = torch.tensor([155 / 50, 145 / 60, 135 / 70]).reshape(1, 3, 1, 1)


def tensor(layout: str = "NCHW") -> TensorSpec:
    return TensorSpec(name="i", shape=(1, 3, 12, 20) if layout == "NCHW" else (1, 12, 20, 3), layout=layout)


def varied(augment: Augment, images: torch.Tensor, seed: int = 1, layout: str = "NCHW") -> torch.Tensor:
    return Variation(augment, SPEC, tensor(layout), "classify")(images, torch.Generator().manual_seed(seed))


def pictures(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 12, 20, generator=torch.Generator().manual_seed(9)) * (HIGH - LOW) * 0.9 + LOW + 0.1


EVERYTHING = Augment(shift=0.2, rotate=20, scale=0.2, flip=True, brightness=0.5, contrast=0.5, noise=0.2)


def test_the_same_seed_varies_the_same_and_stays_between_black_and_white() -> None:
    images = pictures()
    first, again, other = (varied(EVERYTHING, images, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == images.shape
    assert (first >= LOW - 1e-6).all()
    assert (first <= HIGH + 1e-6).all()
    assert not Variation(Augment(), SPEC, tensor(), "classify").does_something


def test_the_layout_makes_no_difference() -> None:
    images = pictures()
    last = varied(EVERYTHING, images.permute(0, 2, 3, 1).contiguous(), layout="NHWC")
    assert torch.allclose(last.permute(0, 3, 1, 2), varied(EVERYTHING, images), atol=1e-6)


def test_a_shift_moves_by_its_share_and_no_more() -> None:
    images = LOW.expand(64, 3, 12, 20).clone()
    images[:, :, 5:7, 9:11] = HIGH
    places = []
    for moved in varied(Augment(shift=0.25), images):
        light = moved[0] - moved[0].min()
        rows, columns = torch.arange(12) + 0.5, torch.arange(20) + 0.5
        places.append(
            (float((light.sum(1) * rows).sum() / light.sum()), float((light.sum(0) * columns).sum() / light.sum()))
        )
    down, right = (torch.tensor(column) for column in zip(*places, strict=True))
    assert 2 < float((down - 6).abs().max()) <= 3.01
    assert 4 < float((right - 10).abs().max()) <= 5.01


def test_a_flip_mirrors_every_other_picture() -> None:
    images = pictures(200)
    out = varied(Augment(flip=True), images)
    same = [torch.allclose(a, b, atol=1e-4) for a, b in zip(images, out, strict=True)]
    mirrored = [torch.allclose(a.flip(2), b, atol=1e-4) for a, b in zip(images, out, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 60 < sum(same) < 140


def test_a_turn_keeps_what_is_round() -> None:
    """In a picture that is wider than high: a turn that forgot the sides' ratio would squeeze it."""
    y, x = torch.meshgrid(torch.arange(12) - 5.5, torch.arange(20) - 9.5, indexing="ij")
    disc = LOW + (HIGH - LOW) * ((x**2 + y**2) < 16)[None, None]
    out = varied(Augment(rotate=90), disc.repeat(8, 1, 1, 1))
    assert float((out - disc).abs().mean()) < 0.06 * float((HIGH - LOW).mean())


def test_boxes_do_not_move_with_their_picture() -> None:
    with pytest.raises(InputError, match="not its boxes"):
        Variation(Augment(shift=0.1), SPEC, tensor(), "detect")
    Variation(Augment(brightness=0.1), SPEC, tensor(), "detect")


def test_pixels_stay_pixels() -> None:
    spec = Preprocess(color="rgb", resize="stretch", size=(12, 20))
    images = torch.randint(0, 256, (2, 3, 12, 20), dtype=torch.uint8)
    out = Variation(EVERYTHING, spec, tensor(), "classify")(images, torch.Generator().manual_seed(1))
    assert out.dtype == torch.uint8
