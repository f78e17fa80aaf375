"""Pictures are varied as declared, and no further."""

from __future__ import annotations

import pytest

from edgesdk.train.augment import Variation
from edgesdk.train.batch import Batch, BoxTargets
from edgesdk.train.moved_boxes import moved_boxes
from edgesdk.train.plan import Augment
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

torch = pytest.importorskip("torch")

SPEC = Preprocess(color="rgb", resize="stretch", size=(12, 20), mean=(100, 110, 120), std=(50, 60, 70))
LOW = torch.tensor([-2.0, -110 / 60, -120 / 70]).reshape(1, 3, 1, 1)
HIGH = torch.tensor([155 / 50, 145 / 60, 135 / 70]).reshape(1, 3, 1, 1)


def tensor(layout: str = "NCHW") -> TensorSpec:
    return TensorSpec(name="i", shape=(1, 3, 12, 20) if layout == "NCHW" else (1, 12, 20, 3), layout=layout)


def varied(augment: Augment, images: torch.Tensor, seed: int = 1, layout: str = "NCHW") -> torch.Tensor:
    batch = Batch(images, torch.zeros(len(images), dtype=torch.int64))
    return Variation(augment, SPEC, tensor(layout))(batch, torch.Generator().manual_seed(seed)).images


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
    assert not Variation(Augment(), SPEC, tensor()).does_something


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


@pytest.mark.parametrize(
    "augment",
    [
        Augment(shift=0.4),
        Augment(scale=0.4),
        Augment(flip=True),
        Augment(rotate=90),
        Augment(shift=0.2, scale=0.2, flip=True, rotate=20),
    ],
    ids=["shift", "scale", "flip", "rotate", "all"],
)
def test_boxes_move_with_what_they_hold(augment: Augment) -> None:
    """A light disc in the dark: where it is found afterwards is where its box says; a box that stayed would not."""
    count, (height, width), radius = 64, (48, 80), 8
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    disc = LOW + (HIGH - LOW) * ((x - 24) ** 2 + (y - 18) ** 2 < radius**2)[None, None]
    box = torch.tensor([[24.0 - radius, 18 - radius, 24 + radius, 18 + radius]])
    truth = BoxTargets((box,) * count, (torch.tensor([3]),) * count, (torch.tensor([False]),) * count)
    shaped = TensorSpec(name="i", shape=(1, 3, height, width), layout="NCHW")
    varied = Variation(augment, SPEC, shaped)
    out = varied(Batch(disc.repeat(count, 1, 1, 1), truth), torch.Generator().manual_seed(5))
    assert isinstance(out.targets, BoxTargets)
    stayed, seen = [], 0
    for image, boxes, class_ids, crowd in zip(
        out.images, out.targets.boxes, out.targets.class_ids, out.targets.crowd, strict=True
    ):
        light = (image - LOW[0]).sum(0) > (HIGH - LOW).sum() / 2
        assert len(boxes) == len(class_ids) == len(crowd)
        if not len(boxes):
            # Less than a tenth of the box was left in the picture; the disc fills three quarters of it.
            assert int(light.sum()) < 0.15 * 4 * radius**2 * 1.4**2
            continue
        rows, columns = light.any(1).nonzero(), light.any(0).nonzero()
        if min(len(rows), len(columns)) < 4:
            continue
        found = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        # A turned box is larger than what it holds, and the disc stays a disc: compare where their middles are.
        inside = (found[:2] > 0).all() and found[2] < width and found[3] < height
        if not inside:
            continue
        seen += 1
        middle = (boxes[0, :2] + boxes[0, 2:]) / 2
        assert float((middle - (found[:2] + found[2:]) / 2).abs().max()) <= 1.5
        if not augment.rotate:
            assert float((boxes[0] - found).abs().max()) <= 1.5
        stayed.append(float((box[0] - found).abs().max()))
    assert seen > count // 3
    assert max(stayed) > 5 or augment == Augment(rotate=90)


def test_what_leaves_its_picture_has_no_box_any_more() -> None:
    """Pictures are shifted by half their width to the right, so that one box leaves, one is cut, one stays whole."""
    boxes = torch.tensor([[42.0, 4, 50, 12], [20, 4, 28, 12], [2, 4, 10, 12]])
    truth = BoxTargets((boxes,), (torch.tensor([0, 1, 2]),), (torch.zeros(3, dtype=torch.bool),))
    taken = torch.tensor([[[1.0, 0, -1], [0, 1, 0]]])
    out = moved_boxes(truth, taken, (16, 50))
    assert out.class_ids[0].tolist() == [1, 2]
    assert torch.allclose(out.boxes[0], torch.tensor([[45.0, 4, 50, 12], [27, 4, 35, 12]]))


def test_pixels_stay_pixels() -> None:
    spec = Preprocess(color="rgb", resize="stretch", size=(12, 20))
    images = torch.randint(0, 256, (2, 3, 12, 20), dtype=torch.uint8)
    batch = Batch(images, torch.zeros(2, dtype=torch.int64))
    out = Variation(EVERYTHING, spec, tensor())(batch, torch.Generator().manual_seed(1))
    assert out.images.dtype == torch.uint8
