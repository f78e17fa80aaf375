"""From a card and a recipe to a bundle: judged, kept, gone on with after a stop."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from edgesdk.cli.app import run
from edgesdk.cli.compress import _print
from edgesdk.compression.stored import origin_of
from edgesdk.compression.subject import Subject
from edgesdk.compression_run.compress import Compression, compress
from edgesdk_converters.source import resolve_source
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import GateFailed, InputError
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.nets_to_compress import residual

CARD = """\
name: squares
source: net.safetensors
factory: nets:residual
factory_args: {width: 8}
task: classify
input: {name: image, shape: [1, 3, 16, 16]}
preprocess: {preset: zero-one, resize: stretch}
labels: names.txt
"""
RECIPE = """\
data: {train: train, evaluate: test}
sensitivity: {ratios: [0.5], pictures: 8}
passes:
  - {pass: prune, macs: 0.8, multiple: 2}
  - {pass: distil}
  - {pass: fold}
recovery: {epochs: 1, batch: 8, threads: 1, workers: 1, learning_rate: 0.001}
"""
OWN_LOSS = """\
from torch.nn import functional

def loss(moment):
    return functional.cross_entropy(moment.answer, moment.targets) + 1000
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares of four colours, and a model that has learnt them."""
    folder = tmp_path_factory.mktemp("site")
    pictures, labels = _squares(folder / "train", 16, 0)
    _squares(folder / "test", 10, 1)
    module = residual(width=8).train()
    optimiser = torch.optim.Adam(module.parameters(), 5e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(60):
            drawn = torch.randperm(len(labels))[:32]
            optimiser.zero_grad()
            functional.cross_entropy(module(pictures[drawn]), labels[drawn]).backward()
            optimiser.step()
    (folder / "nets.py").write_text("from edgesdk_testkit.nets_to_compress import residual\n")
    (folder / "names.txt").write_text("a\nb\nc\nd\n")
    save_file(module.state_dict(), folder / "net.safetensors")
    (folder / "net.yaml").write_text(CARD)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def _squares(folder: Path, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Write so many pictures of each class; returns them as the model takes them, and their classes."""
    drawn = np.random.default_rng(seed)
    pictures, labels = [], []
    for label, colour in enumerate(((255, 60, 60), (60, 255, 60), (60, 60, 255), (230, 230, 230))):
        (folder / "abcd"[label]).mkdir(parents=True)
        for number in range(count):
            picture = drawn.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            x, y = (int(place) for place in drawn.integers(1, 7, 2))
            picture[y : y + 8, x : x + 8] = colour
            cv2.imwrite(str(folder / "abcd"[label] / f"{number}.png"), picture)
            pictures.append(picture[..., ::-1].transpose(2, 0, 1) / np.float32(255))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)), torch.tensor(labels)


@pytest.fixture(scope="module")
def done(site: Path) -> tuple[Compression, list[str]]:
    """Stopped in its second pass, and gone on with."""

    def stop(line: str) -> None:
        if line.startswith("02-distil"):
            raise KeyboardInterrupt

    asked = (site / "net.yaml", site / "recipe.yaml", "generic-onnx")
    with pytest.raises(KeyboardInterrupt):
        compress(*asked, output=site / "out", max_drop=0.5, progress=stop)
    lines: list[str] = []
    return compress(*asked, output=site / "out", max_drop=0.5, progress=lines.append), lines


def test_a_stopped_run_goes_on_after_the_last_pass(done: tuple[Compression, list[str]]) -> None:
    made, lines = done
    assert [line for line in lines if "was finished" in line] == ["01-prune: was finished"]
    assert [report.resumed for report in made.reports] == [True, False, False]


def test_a_run_that_went_on_still_has_what_was_measured_before(done: tuple[Compression, list[str]]) -> None:
    made, lines = done
    assert not any(line.startswith("sensitivity") for line in lines)
    assert {row.channels for row in made.sensitivity} == {8, 16}
    assert "What each group of channels bears" in made.page.read_text()


def test_every_pass_is_told_with_its_sizes_and_its_verdict(done: tuple[Compression, list[str]]) -> None:
    made, _ = done
    prune, distil, fold = made.reports
    assert prune.outcome == "not judged"
    # By the gate's own rule: of 40 pictures the whole interval of the loss has to lie under max_drop.
    assert {distil.outcome, fold.outcome} == {"pass"}
    assert prune.after.macs <= 0.8 * prune.before.macs
    assert distil.training is not None
    assert distil.training["epochs"] == 1
    assert fold.score == distil.score
    page = made.page.read_text()
    assert page.count("Compression of squares-small") >= 1
    # Size against accuracy with a point a pass, sensitivity, and both curves of the one training.
    assert page.count("<svg") == 4
    assert all(f">{name}<" in page for name in ("none", "1. prune", "2. distil", "3. fold", "loss, judged by"))
    assert "Taken is the model after fold, the last of 3 passes" in page
    assert "may be deployed: pass" in page


def test_the_terminal_says_what_was_taken_and_why(
    done: tuple[Compression, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    made, _ = done
    _print(made)
    shown = capsys.readouterr().out
    assert "Taken is the model after fold, the last of 3 passes" in shown
    assert "Why: the gate says pass: " in shown
    assert ".." not in shown
    assert re.search(r"Most bytes went with \w+ \(\d+% of what was there\); (most was lost by|no pass lost)", shown)


def test_the_result_is_a_card_that_everything_else_reads(done: tuple[Compression, list[str]], site: Path) -> None:
    made, _ = done
    source = resolve_source(made.card)
    assert source.card_file.labels == ("a", "b", "c", "d")
    module = source.load()
    assert module.get_parameter("head.weight").shape[1] < 16  # type: ignore[union-attr]  # a module, as it has a factory
    assert {path.suffix for path in made.card.parent.iterdir() if path.is_file()} == {
        ".edgebundle", ".html", ".safetensors", ".yaml",
    }  # fmt: skip


def test_the_bundle_says_where_it_comes_from(done: tuple[Compression, list[str]], site: Path) -> None:
    made, _ = done
    with open_bundle(made.conversion.path) as bundle:
        history = json.loads(bundle.read("provenance.json"))["history"]
    assert [one["kind"] for one in history["passes"]] == ["prune", "distil", "fold"]
    assert set(history["digests"]) == {"start", "train", "evaluate"}
    assert history["recipe"]["passes"][0]["macs"] == 0.8
    assert str(site) not in json.dumps(history)


def test_a_compressed_model_is_compressed_again(
    done: tuple[Compression, list[str]], site: Path, tmp_path: Path
) -> None:
    from edgesdk.compression_run.start import subject_of

    made, _ = done
    again: Subject = subject_of(resolve_source(made.card))
    assert {change.kind for change in again.changes} == {"channels", "folded"}


def test_a_pass_that_costs_too_much_ends_the_run_with_its_name(site: Path, tmp_path: Path) -> None:
    passes = [{"pass": "factorise", "energy": 0.01}]
    recipe = {"data": {"evaluate": "test"}, "passes": passes, "sensitivity": False}
    with pytest.raises(GateFailed, match="01-factorise") as failed:
        compress(site / "net.yaml", recipe, "generic-onnx", output=tmp_path / "out", max_drop=0.05, folder=site)
    # Three of four classes are lost, which no greater drop would allow.
    assert "Ask less of this pass" in failed.value.hint
    assert "--max-drop" not in failed.value.hint
    assert (tmp_path / "out/passes/01-factorise/pass.json").is_file()
    page = (tmp_path / "out/report.html").read_text()
    assert "The run ended early: After 01-factorise" in page
    assert "Nothing was taken: After 01-factorise" in page
    assert "no pass came through the gate" in page
    assert "factorise: fail" in page


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"data": {"train": "train", "evaluate": "train"}}, "judged by, and learnt from"),
        ({"data": {"choose": "test", "evaluate": "test"}}, "judged by, and chosen by"),
        ({"passes": [{"pass": "sparsify", "amount": 0.5}, {"pass": "qat", "skip": ["heads"]}]}, "'heads'"),
        ({"passes": [{"pass": "prune", "macs": 0.5, "skip": ["heads"]}]}, "'heads'"),
        ({"passes": [{"pass": "distil", "teacher": "none.yaml"}]}, r"none\.yaml"),
        ({"passes": [{"pass": "distil", "teacher": "swapped.yaml"}]}, "another labels"),
        ({"passes": [{"pass": "distil", "features": {"one": "two"}}]}, "cannot be compared"),
    ],
    ids=["learnt from", "chosen by", "layer", "skip", "no teacher", "another teacher", "features"],
)
def test_what_is_wrong_is_told_before_the_first_pass(
    site: Path, tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    (site / "swapped.yaml").write_text(CARD.replace("names.txt", "[b, a, c, d]"))
    recipe = {"data": {"train": "train", "evaluate": "test"}, "passes": [{"pass": "fold"}], **changed}
    with pytest.raises(InputError, match=named):
        compress(site / "net.yaml", recipe, "generic-onnx", output=tmp_path / "out", folder=site)
    assert not (tmp_path / "out").exists()


def test_the_command_tells_all_of_it_as_json(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = "{epochs: 1, batch: 16, threads: 1, workers: 1, learning_rate: 0.0001}"
    (site / "own_loss.py").write_text(OWN_LOSS)
    recipe = f"data: {{train: train, evaluate: test}}\npasses: [{{pass: fold}}, {{pass: qat, training: {plan}}}]\n"
    (site / "qat.yaml").write_text(recipe + "loss: own_loss:loss\n")
    words = ["compress", site / "net.yaml", "--recipe", site / "qat.yaml", "-t", "generic-onnx", "-o", tmp_path / "out"]
    assert run([*map(str, words), "--max-drop", "0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["outcome"]) for one in found["passes"]] == [("fold", "pass"), ("qat", "pass")]
    # The recipe's own loss was made small, which is larger than the usual one, and the bundle says so.
    assert found["passes"][1]["training"]["history"][0]["loss"] > 1000
    with open_bundle(Path(found["conversion"]["bundle"])) as bundle:
        assert json.loads(bundle.read("provenance.json"))["history"]["recipe"]["loss"] == "own_loss:loss"
    assert run([*map(str, words[:-1]), str(tmp_path / "other"), "--loss", "no_such:loss"]) == 2
    assert "no_such" in capsys.readouterr().err
    assert found["passes"][1]["record"]["layers"] == 8
    assert [one["precision"] for one in found["conversion"]["variants"]] == ["int8"]
    assert Path(found["card"]).is_file()
    assert Path(found["report"]).is_file()


def test_an_exported_model_is_refused_with_what_is_needed() -> None:
    shape = TensorSpec(name="image", shape=(1, 3, 16, 16))
    with pytest.raises(InputError, match="has no factory"):
        origin_of(ModelCard(name="m", source="m.onnx", task="classify", input=shape))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (["--target", "toaster"], 2),
        (["--max-drop", "5"], 2),
        (["-o", "x.edgebundle"], 2),
        (["--recipe", "none.yaml"], 2),
    ],
    ids=["target", "drop", "output", "recipe"],
)
def test_the_command_refuses_what_is_wrong_before_it_loads_anything(
    site: Path, tmp_path: Path, changed: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = {"--recipe": str(site / "recipe.yaml"), "--target": "rpi5", "-o": str(tmp_path / "out")}
    given = {**usual, changed[0]: changed[1]}
    arguments = [part for pair in given.items() for part in pair]
    assert run(["compress", str(site / "net.yaml"), *arguments]) == code
    assert not (tmp_path / "out").exists()
