"""A real search: each trial converted, timed and evaluated; the command, its report, and a limit that cannot be met."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from edgesdk.cli.search import search
from edgesdk.evaluate.apart import in_both
from edgesdk.search.asking import Asked
from edgesdk.search.space import Space
from edgesdk.search_run.search import _remove_work
from edgesdk.search_run.search import search as run
from edgesdk.search_run.training import tells_of
from edgesdk.search_run.trial import WORK, Carrying
from edgesdk.train.measure import Measure, right_class
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import ContentChanged, InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_labelled, write_shades
from edgesdk_testkit.tiny_bundles import LABELS
from edgesdk_testkit.tiny_models import CNN, MEAN, STD

CARD = f"""
name: tiny
source: tiny.onnx
task: classify
input: {{name: image, shape: [1, 3, 16, 16]}}
preprocess: {{color: bgr, size: [16, 16], mean: [{MEAN}, {MEAN}, {MEAN}], std: [{STD}, {STD}, {STD}]}}
labels: [{", ".join(LABELS)}]
"""
SPACE = """
model: card.yaml
target: generic-onnx
data: data
objectives: [top1, ms]
parameters:
  deploy.streams: {choice: [1, 2]}
  deploy.threads: {choice: [1, 2]}
sampler: grid
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.onnx").write_bytes(CNN.file(Runtime.ONNXRUNTIME).files["model"])
    (folder / "card.yaml").write_text(CARD)
    (folder / "space.yaml").write_text(SPACE)
    write_labelled(folder / "data", 20)
    return folder


def _run(capsys: pytest.CaptureFixture[str], *paths: Path, **options: Any) -> dict[str, Any]:
    search(*paths, time_s=0.02, json=True, **options)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_search_finds_tells_and_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _run(capsys, folder / "space.yaml", tmp_path, trials=1)
    assert len(found["trials"]) == 1
    found = _run(capsys, folder / "space.yaml", tmp_path)
    assert len(found["trials"]) == 4
    assert all(trial["figures"]["top1"] == 1.0 and trial["figures"]["ms"] > 0 for trial in found["trials"])
    times = {trial["number"]: trial["figures"]["ms"] for trial in found["trials"]}
    # All answer alike: the fastest is all that is not beaten; two may have come to the same time.
    assert found["front"] == [number for number in times if times[number] == min(times.values())]
    assert found["chosen"] in found["front"]
    with open_bundle(found["bundle"]) as bundle:
        assert bundle.manifest.name == "tiny"
    kept = {int(place.name) for place in (tmp_path / "trials").iterdir()}
    assert kept == set(found["front"])
    page = Path(found["report"]).read_text("utf-8")
    assert all(heading in page for heading in ("What was chosen", "How it went", "The front", "All trials"))
    assert "<svg" in page
    assert "http" not in page.split("<svg")[0]


def test_a_limit_that_cannot_be_met_says_how_near_it_came(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tight.yaml").write_text(SPACE + "limits: {bytes: 100}\n")
    with pytest.raises(typer.Exit) as ended:
        _run(capsys, folder / "tight.yaml", tmp_path)
    assert ended.value.exit_code == 3
    found = json.loads(capsys.readouterr().out)
    assert found["chosen"] is None
    assert found["bundle"] is None
    assert "No trial keeps all limits" in found["why"]
    assert "In the way stood bytes in 4 of 4" in found["why"]
    # What misses a limit on cost is not evaluated.
    assert all("top1" not in trial["figures"] for trial in found["trials"])


NET = """
from torch import nn

def net(width=4):
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, width), nn.ReLU(), nn.Linear(width, 5))
"""


@pytest.fixture(scope="module")
def training(folder: Path) -> dict[str, Any]:
    """A space that is trained, with its pictures."""
    (folder / "tiny_search_net.py").write_text(NET)
    (folder / "net.yaml").write_text(CARD.replace("source: tiny.onnx", "factory: tiny_search_net:net"))
    write_shades(folder / "shades", seed=2, count=8)
    write_shades(folder / "judged", seed=3, count=4)
    return {
        "model": "net.yaml",
        "target": "generic-onnx",
        "data": "judged",
        "train_data": "shades",
        "objectives": ["top1"],
        "train": {"batch": 8, "device": "cpu", "epochs": 2},
        "parameters": {"factory_args.width": {"choice": [2, 24]}, "train.learning_rate": {"choice": [0.02]}},
        "deploy": {"batch": 4},
        "sampler": "grid",
    }


def test_networks_and_training_plans_are_searched(
    folder: Path, training: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "train.yaml").write_text(json.dumps(training))
    found = _run(capsys, folder / "train.yaml", tmp_path)
    assert [trial["ending"] for trial in found["trials"]] == ["finished", "finished"], found
    sizes = {trial["parameters"]["factory_args.width"]: trial["figures"]["bytes"] for trial in found["trials"]}
    assert sizes[2] < sizes[24]
    with open_bundle(found["bundle"]) as bundle:
        assert bundle.manifest.variants[0].batch == 4
        said = load_model(bundle)(picture := read_image(next((folder / "judged").rglob("*.png"))))
    # The winner is no dead end: its weights and its width are kept with a card, from which the same model is converted again.
    again = convert(found["card"], "generic-onnx", output=tmp_path / "again", cache=None)
    with load_model(again.path) as model:
        np.testing.assert_allclose(model(picture).scores, said.scores, rtol=1e-4)
    assert not list(tmp_path.glob("work*"))


def test_what_cannot_be_converted_is_not_trained_first(folder: Path, training: dict[str, Any], tmp_path: Path) -> None:
    searched = {"deploy.batch": {"choice": [1, 4]}}
    space = Space.model_validate({**training, "parameters": searched, "deploy": {"precision": "int8"}})
    carrying = Carrying(space, folder, tmp_path, {}, 0.02, lambda _line: None)
    with pytest.raises(InputError, match="INT8 is built for one picture"):
        carrying(Asked(0, {"deploy.batch": 4}, lambda _step, _figure: None))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", ["shades", "copied"])
def test_what_is_trained_with_is_not_judged_by(
    folder: Path, training: dict[str, Any], tmp_path: Path, data: str
) -> None:
    if data == "copied":
        shutil.copytree(folder / "judged", folder / "copied")
        shutil.copyfile(folder / "shades" / LABELS[1] / "3.png", folder / "copied" / LABELS[1] / "another-name.png")
    (folder / "both.yaml").write_text(json.dumps({**training, "data": data}))
    with pytest.raises(InputError, match=r"png is trained with and judged by") as refused:
        search(folder / "both.yaml", tmp_path / "out")
    assert ("another-name.png" in str(refused.value)) == (data == "copied")
    assert not (tmp_path / "out").exists()


def test_files_of_one_size_are_no_copies(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, (b"one", b"two", b"one"), strict=True):
        path.write_bytes(content)
    assert in_both(paths[:1], paths[1:]) == [paths[2]]
    assert in_both(paths[:1], paths[1:2]) == []


def test_a_search_goes_on_with_the_same_pictures_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "data", folder / "changing")
    (folder / "changing.yaml").write_text(SPACE.replace("data: data", "data: changing"))
    _run(capsys, folder / "changing.yaml", tmp_path, trials=1)
    next((folder / "changing").rglob("*.png")).unlink()
    with pytest.raises(InputError, match=r"holds another search: not the same data\."):
        search(folder / "changing.yaml", tmp_path, time_s=0.02)
    with pytest.raises(InputError, match=r"not the same data, --slice\."):
        search(folder / "changing.yaml", tmp_path, time_s=0.03)


@pytest.mark.parametrize("change", ["another", "gone", "new"])
def test_data_that_change_while_a_search_runs_end_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    data = folder / f"changing-{change}"
    shutil.copytree(folder / "data", data)
    (folder / "changing.yaml").write_text(SPACE.replace("data: data", f"data: {data.name}"))
    file = next(data.rglob("*.png"))
    kept, lines = file.read_bytes(), []

    def say(line: str) -> None:
        lines.append(line)
        if not line.startswith("trial 2 "):
            return
        (tmp_path / "out" / WORK).mkdir(exist_ok=True)
        if change == "gone":
            file.unlink()
        else:
            (file if change == "another" else file.with_name("new.png")).write_bytes(kept[::-1])

    named = "new.png is new" if change == "new" else rf"{file.name} (is gone|changed)"
    with pytest.raises(InputError, match=rf"What `data` names changed since the search began: .*{named}\.") as ended:
        run(folder / "changing.yaml", tmp_path / "out", time_s=0.02, say=say)
    assert "finished are kept" in ended.value.hint
    # What the trial learnt is no beginning for another one.
    assert not (tmp_path / "out" / WORK).exists()
    # Put back, even if as of another time, the search goes on; what was under way is no failure.
    file.with_name("new.png").unlink(missing_ok=True)
    file.write_bytes(kept)
    found = _run(capsys, folder / "changing.yaml", tmp_path / "out")
    assert [trial["ending"] for trial in found["trials"]] == ["finished"] * 4
    assert not any(line.startswith("trial 3 ") for line in lines)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A space whose data a test may change."""
    for name in ("tiny.onnx", "card.yaml", "space.yaml"):
        shutil.copyfile(folder / name, tmp_path / name)
    shutil.copytree(folder / "data", tmp_path / "data")
    return tmp_path


@pytest.mark.parametrize("touched", [False, True], ids=["another", "touched"])
def test_a_trial_that_is_stopped_on_other_data_is_forgotten_and_one_on_touched_data_is_not(
    copied: Path, monkeypatch: pytest.MonkeyPatch, *, touched: bool
) -> None:
    file = next((copied / "data").rglob("*.png"))
    kept, lines = file.read_bytes(), list[str]()

    def carried_out(_carrying: Carrying, _trial: Asked) -> Any:
        (copied / "out" / WORK).mkdir()
        file.write_bytes(kept if touched else kept[::-1])
        os.utime(file, (1, 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(Carrying, "_carried_out", carried_out)
    with pytest.raises(KeyboardInterrupt if touched else ContentChanged):
        run(copied / "space.yaml", copied / "out", time_s=0.02, say=lines.append)
    assert (copied / "out" / WORK).exists() == touched
    assert any("was written anew since the search began" in line for line in lines) == touched


@pytest.mark.parametrize("out", ["data/out", "data"])
def test_a_search_does_not_write_into_its_data(copied: Path, out: str) -> None:
    with pytest.raises(InputError, match="lies inside data, ") as refused:
        run(copied / "space.yaml", copied / out, time_s=0.02)
    assert "beside the data" in refused.value.hint
    assert not list((copied / "data").glob("*.db"))


def test_an_option_that_the_space_does_not_bear_is_refused_like_the_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="field seed"):
        search(folder / "space.yaml", tmp_path, seed=1 << 40)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("objectives: [acuracy]", "objectives: there is no figure 'acuracy' here"),
        ("limits: {least: {ap50: 0.5}}", "limits.least: there is no figure 'ap50'"),
        ("limits: {most: {eec: 0.5}}", "limits.most: there is no figure 'eec'"),
    ],
    ids=["objective", "least", "most"],
)
def test_what_is_no_figure_is_refused_before_the_first_trial(
    folder: Path, tmp_path: Path, wrong: str, said: str
) -> None:
    field = wrong.partition(":")[0]
    lines = [line for line in SPACE.splitlines() if not line.startswith(field)]
    (folder / "wrong.yaml").write_text("\n".join([*lines, wrong]))
    with pytest.raises(InputError, match=said) as refused:
        search(folder / "wrong.yaml", tmp_path / "out")
    assert "top1" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_a_cost_is_not_told_by_the_figure_of_an_epoch() -> None:
    accuracy = Measure("accuracy", higher_is_better=True, each=right_class)
    assert tells_of(accuracy, "top1")
    assert not tells_of(accuracy, "fps")
    assert not tells_of(accuracy, "cer")
    assert not tells_of(None, "top1")


def test_work_of_which_half_is_removed_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WORK / "training").mkdir(parents=True)

    def killed(place: Path, **_: Any) -> None:
        if place.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            _remove_work(tmp_path)
    assert not (tmp_path / WORK).exists()
    (tmp_path / WORK).mkdir()
    _remove_work(tmp_path)
    assert not list(tmp_path.iterdir())
