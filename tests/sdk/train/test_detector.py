"""A detector is trained for real: by a loss beside its card, judged by AP50, its boxes moved with the pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.cli.app import run
from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.evaluate import evaluate
from edgesdk.evaluate.subject import open_subject
from edgesdk.search_run.search import search
from edgesdk.train.batch import Batch, BoxTargets
from edgesdk.train.measure import measure_for
from edgesdk.train.moment import Moment
from edgesdk_targets.card import ModelCard, finish_card
from edgesdk_targets.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

SQUARES = """
import torch
from torch import nn
from torch.nn import functional

class Squares(nn.Module):
    # One box and two scores for each cell of 8 x 8 pixels.
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(),
        )
        self.head = nn.Conv2d(32, 6, 1)
        y, x = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
        self.register_buffer("centres", torch.stack([x, y]).float() * 8 + 4, persistent=False)

    def raw(self, image):
        scores, near, far = self.head(self.body(image)).split(2, dim=1)
        return scores - 2, torch.cat([self.centres - 8 * near, self.centres + 8 * far], 1)

    def forward(self, image):
        scores, boxes = self.raw(image)
        return boxes.flatten(2).transpose(1, 2), scores.sigmoid().flatten(2).transpose(1, 2)

def build():
    return Squares()

def loss(moment):
    scores, boxes = moment.model.raw(moment.images)
    truth = moment.targets
    wanted, error, count = torch.zeros_like(scores), 0.0, 0
    for i, (own, ids) in enumerate(zip(truth.boxes, truth.class_ids)):
        for box, c in zip(own, ids):
            x, y = (int(v.clamp(0, 31)) // 8 for v in (box[:2] + box[2:]) / 2)
            wanted[i, c, y, x] = 1
            error, count = error + (boxes[i, :, y, x] - box).abs().mean(), count + 1
    return 16 * functional.binary_cross_entropy_with_logits(scores, wanted) + error / max(count, 1) / 4
"""
CARD = """
name: squares
task: detect
factory: squares:build
input: {shape: [1, 1, 32, 32]}
preprocess: {color: gray, resize: stretch, size: [32, 32], mean: [0], std: [255]}
labels: [dark, light]
"""
PLAN = (
    "{epochs: 14, batch: 16, learning_rate: 0.01, device: cpu, threads: 1, workers: 1, "
    "augment: {shift: 0.1, flip: true}}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card with its factory and loss, and pictures of a square each, dark or light."""
    (tmp_path / "squares.py").write_text(SQUARES, "utf-8")
    (tmp_path / "squares.yaml").write_text(CARD, "utf-8")
    (tmp_path / "plan.yaml").write_text(PLAN, "utf-8")
    rng = np.random.default_rng(1)
    for part, count in (("train", 96), ("val", 32)):
        for name in ("images", "labels"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
        for i in range(count):
            x, y, side, label = (int(rng.integers(*limits)) for limits in ((2, 20), (2, 20), (8, 11), (0, 2)))
            picture = rng.integers(110, 140, (32, 32), np.uint8)
            picture[y : y + side, x : x + side] = 250 if label else 10
            cv2.imwrite(str(tmp_path / "data" / part / "images" / f"{i}.png"), picture)
            middle = f"{(x + side / 2) / 32} {(y + side / 2) / 32} {side / 32} {side / 32}"
            (tmp_path / "data" / part / "labels" / f"{i}.txt").write_text(f"{label} {middle}\n", "utf-8")
    return tmp_path


def train(folder: Path, *more: str) -> int:
    words = ["squares.yaml", "--data", "data", "--plan", "plan.yaml", "-o", "out"]
    return run(["train", *(str(folder / w) if not w.startswith("-") else w for w in words), *more])


def test_a_detector_learns_and_is_chosen_by_ap50(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(folder, "--loss", "squares:loss", "--report", str(folder / "page.html"), "--json") == 0
    page = (folder / "page.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert ">loss, judged by<" in page
    assert "whose ap50 is the highest on the pictures kept to judge by" in page
    found = json.loads(capsys.readouterr().out)
    figures = [record["figure"] for record in found["history"]]
    assert found["metric"] == "ap50"
    assert figures[0] < 0.2
    assert found["best"] == max(figures) > 0.7
    # What came of it is judged so by the code that judges every model, on the pictures that it was chosen by.
    (folder / "trained.yaml").write_text(CARD + "source: out/best.safetensors\n", "utf-8")
    words = ["evaluate", folder / "trained.yaml", "--data", folder / "data/val", "--json"]
    assert run(list(map(str, words))) == 0
    judged = json.loads(capsys.readouterr().out)["metrics"]["ap50"]["value"]
    assert judged == pytest.approx(found["best"], abs=1e-6)


def test_a_search_trains_detectors(folder: Path) -> None:
    plan = {"batch": 16, "learning_rate": 0.01, "device": "cpu", "threads": 1, "workers": 1}
    space = {
        "model": "squares.yaml",
        "target": "generic-onnx",
        "data": "data/val",
        "train_data": "data/train",
        "train": plan,
        "loss": "squares:loss",
        "objectives": ["ap50"],
        "parameters": {"train.epochs": {"choice": [1, 12]}},
        "sampler": "grid",
    }
    (folder / "space.yaml").write_text(json.dumps(space), "utf-8")
    found = search(folder / "space.yaml", folder / "search", time_s=0.02)
    assert [trial.ending for trial in found.trials] == ["finished", "finished"], [trial.why for trial in found.trials]
    ap50 = {trial.parameters["train.epochs"]: trial.figures["ap50"] for trial in found.trials}
    assert ap50[1] < 0.2 < ap50[12]
    assert found.verdict.chosen is not None
    assert found.verdict.chosen.parameters == {"train.epochs": 12}
    # What was learnt is kept with its card, and judged alike by it and as it was deployed.
    assert found.card is not None
    with open_subject(found.card) as model:
        again = evaluate(model.predict, open_dataset(folder / "data/val", task=model.task, labels=model.labels))
    assert again.metrics["ap50"].value == pytest.approx(ap50[12], abs=0.02)


def test_pictures_without_a_box_are_told_before_the_first_epoch(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in (folder / "data/val/labels").iterdir():
        label.write_text("", "utf-8")
    assert train(folder, "--loss", "squares:loss") == 2
    assert "No picture to judge by has a box" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_answers_that_are_no_boxes_are_told_by_their_shape() -> None:
    card = finish_card(ModelCard(name="m", task="detect", labels=("a", "b"), preprocess={"preset": "zero-one"},
                                 input={"shape": [1, 1, 32, 32]}), Path.cwd())  # fmt: skip
    measure = measure_for(card)
    assert measure is not None
    truth = BoxTargets((torch.zeros(0, 4),) * 2, (torch.zeros(0, dtype=torch.int64),) * 2, (torch.zeros(0).bool(),) * 2)

    def answering(*outputs: object) -> Moment:
        return Moment(lambda _images: outputs, Batch(torch.zeros(2, 1, 32, 32), truth), 0, 0)  # type: ignore[arg-type]

    with pytest.raises(InputError, match=r"'scores' is \[1, 4, 2\] for 2 pictures"):
        measure.each(answering(torch.zeros(2, 4, 4), torch.zeros(1, 4, 2)))
    with pytest.raises(InputError, match="2 labels, but the model has 3 classes"):
        measure.each(answering(torch.zeros(2, 4, 4), torch.zeros(2, 4, 3)))
    assert measure.of_all is not None
    with pytest.raises(InputError, match="No picture to judge by has a box"):
        measure.of_all([measure.each(answering(torch.zeros(2, 4, 4), torch.zeros(2, 4, 2)))])
