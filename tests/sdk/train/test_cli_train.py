"""`edgesdk train`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.cli.app import run

pytest.importorskip("lightning")

FACTORY = """
import torch

def small():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
"""
STOPPING = """
import signal
from torch.nn import functional

def loss(moment):
    if moment.epoch:
        signal.raise_signal(signal.SIGINT)
    return functional.cross_entropy(moment.answer, moment.targets)
"""
CARD = """
name: small
task: {task}
factory: small_factory:small
input: {{shape: [1, 1, 8, 8]}}
preprocess: {{color: gray, resize: stretch, size: [8, 8], mean: [0], std: [255]}}
labels: [dark, light]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card with its factory, a plan, and twelve pictures of each of two classes."""
    (tmp_path / "small_factory.py").write_text(FACTORY, "utf-8")
    for task in ("classify", "detect"):
        (tmp_path / f"{task}.yaml").write_text(CARD.format(task=task), "utf-8")
    (tmp_path / "plan.yaml").write_text("epochs: 20\nbatch: 8\nlearning_rate: 0.05\ndevice: cpu\n", "utf-8")
    rng = np.random.default_rng(1)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            picture = rng.integers(level - 30, level + 30, (10, 10, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "pictures" / name / f"{i}.png"), picture)
    return tmp_path


def train(folder: Path, *more: str, card: str = "classify.yaml") -> int:
    words = [
        str(folder / card),
        "--data",
        str(folder / "pictures"),
        "--plan",
        str(folder / "plan.yaml"),
        "-o",
        str(folder / "out"),
    ]
    return run(["train", *words, *more])


def test_a_card_is_trained_and_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(folder) == 0
    shown = capsys.readouterr()
    assert "best.safetensors: all 20 epochs are done" in shown.out
    assert "Next: write `source:" in shown.err
    assert train(folder, "--json") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["epochs"], found["metric"], len(found["history"])) == (20, "accuracy", 20)
    assert "nothing was trained: it was finished before" in shown.err
    # What came of it is what the card can name.
    (folder / "trained.yaml").write_text(CARD.format(task="classify") + "source: out/best.safetensors\n", "utf-8")
    assert train(folder, "--anew", card="trained.yaml") == 2
    assert "would be written over" in capsys.readouterr().err
    assert run(["evaluate", str(folder / "trained.yaml"), "--data", str(folder / "pictures"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["top1"]["value"] == 1.0


@pytest.mark.parametrize(
    ("card", "words", "said"),
    [
        ("classify.yaml", ("--validation", "nowhere"), "nowhere does not exist"),
        ("classify.yaml", ("--validation", "1.5"), "share of 1.5"),
        ("classify.yaml", ("--loss", "small_factory:none"), "cannot be imported"),
        ("detect.yaml", (), "no usual loss for the task 'detect'"),
        ("plan.yaml", (), "field epochs"),
        ("classify.yaml", ("-o", "/proc/out"), "/proc/out/best.safetensors cannot be written"),
    ],
    ids=["no folder", "no share", "no loss", "a detector", "no card", "not writable"],
)
def test_what_is_wrong_is_told(
    folder: Path, card: str, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, *words, card=card) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_finished_graph_is_not_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = CARD.format(task="classify").replace("factory: small_factory:small", "source: model.onnx")
    (folder / "graph.yaml").write_text(card, "utf-8")
    assert train(folder, card="graph.yaml") == 2
    assert "names no factory" in capsys.readouterr().err


def test_other_pictures_are_another_training(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "plan.yaml").write_text("epochs: 1\nbatch: 8\ndevice: cpu\n", "utf-8")
    assert train(folder) == 0
    kept = (folder / "out/best.safetensors").read_bytes()
    # As many pictures, of which two changed their classes.
    dark, light = folder / "pictures/dark/0.png", folder / "pictures/light/0.png"
    content = dark.read_bytes()
    dark.write_bytes(light.read_bytes())
    light.write_bytes(content + b"\0")
    assert train(folder) == 2
    assert "with other pictures to " in capsys.readouterr().err
    assert (folder / "out/best.safetensors").read_bytes() == kept
    # Begun anew and stopped, it is told how to go on, and not by what would begin anew once more.
    (folder / "plan.yaml").write_text("epochs: 9\nbatch: 8\ndevice: cpu\n", "utf-8")
    (folder / "stopping_loss.py").write_text(STOPPING, "utf-8")
    assert train(folder, "--anew", "--loss", "stopping_loss:loss") == 130
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Next: ")]
    assert told.endswith("--loss stopping_loss:loss -o " + f"{folder / 'out'}  # goes on after epoch 1")
    assert "--anew" not in told
