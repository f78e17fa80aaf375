"""Files that change while a recipe runs end it by name, with what was finished before; results do not lie in the data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from edgesdk.compression.recipe import recipe_of
from edgesdk.compression_run import data as data_module
from edgesdk.compression_run import run as run_module
from edgesdk.compression_run.compress import compress
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import prepare
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import subject_of
from edgesdk_converters.source import resolve_source
from edgesdk_targets.errors import ContentChanged, InputError
from edgesdk_testkit.labelled_pictures import write_shades
from edgesdk_testkit.tiny_bundles import LABELS

CARD = """
name: shades
source: net.safetensors
factory: nets_of_shades:net
task: classify
input: {name: image, shape: [1, 3, 16, 16]}
preprocess: {preset: zero-one, resize: stretch}
labels: names.txt
"""
NETS = """
from torch import nn

def net():
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, 5))
"""
# Of a matrix whose rows are of one number each, both leave all of it.
PASSES = [{"pass": "factorise", "energy": 0.99, "recover": False}, {"pass": "cluster", "count": 8, "recover": False}]
FINISHED = "passes/01-factorise/pass.json"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Pictures told apart by how bright they are, and a network that does."""
    layer = nn.Linear(48, len(LABELS))
    for label, shade in enumerate((25 + 50 * number) / 255 for number in range(len(LABELS))):
        nn.init.constant_(layer.weight[label], 200 * shade / 48)
        nn.init.constant_(layer.bias[label : label + 1], -100 * shade**2)
    save_file({f"2.{name}": value.detach() for name, value in layer.named_parameters()}, tmp_path / "net.safetensors")
    (tmp_path / "nets_of_shades.py").write_text(NETS)
    (tmp_path / "net.yaml").write_text(CARD)
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    write_shades(tmp_path / "judged", seed=3, count=4)
    return tmp_path


def run(site: Path, out: Path, say: Callable[[str], None]) -> None:
    recipe = {"data": {"evaluate": "judged"}, "passes": PASSES, "sensitivity": False}
    compress(site / "net.yaml", recipe, "generic-onnx", output=out, folder=site, progress=say)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            f"judged/{LABELS[0]}/0.png",
            "another",
            r"`data\.evaluate` names changed since the recipe began: .*0\.png changed",
        ),
        (
            f"judged/{LABELS[0]}/0.png",
            "gone",
            r"`data\.evaluate` names changed since the recipe began: .*0\.png is gone",
        ),
        ("net.yaml", "another", r"`model` names changed since the recipe began: .*net\.yaml changed"),
        ("names.txt", "another", r"`model` names changed since the recipe began: .*names\.txt changed"),
    ],
    ids=["another", "gone", "card", "labels"],
)
def test_what_changes_in_a_pass_ends_the_run_and_what_was_finished_is_kept(
    site: Path, file: str, change: str, said: str
) -> None:
    path, lines = site / file, list[str]()
    kept = path.read_bytes()

    def disturb(line: str) -> None:
        if line != "02-cluster: begins":
            return
        if change == "gone":
            path.unlink()
        else:
            path.write_bytes(kept + b"\n")
            os.utime(path, (1, 1))

    def stop(line: str) -> None:
        lines.append(line)
        if line == "02-cluster: begins":
            raise KeyboardInterrupt

    with pytest.raises(ContentChanged, match=said) as ended:
        run(site, site / "out", disturb)
    assert ended.value.hint.startswith("All passes that are finished are kept.")
    assert (site / "out" / FINISHED).is_file()
    assert not (site / "out/passes/02-cluster").exists()
    assert not (site / "out/report.html").exists()
    # Put back, the same command goes on after what was finished.
    path.write_bytes(kept)
    with pytest.raises(KeyboardInterrupt):
        run(site, site / "out", stop)
    assert "01-factorise: was finished" in lines


@pytest.mark.parametrize("touched", [False, True], ids=["another", "touched"])
def test_a_pass_that_is_stopped_on_other_files_is_forgotten_and_one_on_touched_files_is_not(
    site: Path, *, touched: bool
) -> None:
    path, lines = site / "judged" / LABELS[0] / "0.png", list[str]()
    checkpoint = site / "out/passes/02-cluster/training-1/last.ckpt"

    def disturb(line: str) -> None:
        lines.append(line)
        if line != "02-cluster: begins":
            return
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"of hours")
        path.write_bytes(path.read_bytes() + (b"" if touched else b"\n"))
        os.utime(path, (1, 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt if touched else ContentChanged):
        run(site, site / "out", disturb)
    assert checkpoint.exists() == touched
    assert any("was written anew since the recipe began: " in line for line in lines) == touched


@pytest.mark.parametrize("file", ["net.safetensors", f"judged/{LABELS[0]}/0.png"], ids=["weights", "picture"])
def test_what_changes_while_it_is_opened_is_not_taken_for_what_was_read(
    site: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_changed(opened: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            found = opened(*given, **named)
            (site / file).write_bytes((site / file).read_bytes() + b"\n")
            return found

        return wrapped

    monkeypatch.setattr(run_module, "subject_of", then_changed(run_module.subject_of))
    monkeypatch.setattr(data_module, "open_dataset", then_changed(data_module.open_dataset))
    with pytest.raises(ContentChanged, match=rf"{Path(file).name} changed"):
        run(site, site / "out", lambda _line: None)
    assert not (site / "out" / FINISHED).exists()


def test_an_artifact_of_other_pictures_is_not_left(site: Path) -> None:
    def disturb(line: str) -> None:
        if line == "conversion":
            (site / "judged" / LABELS[0] / "new.png").write_bytes((site / "judged" / LABELS[0] / "0.png").read_bytes())

    with pytest.raises(ContentChanged, match=r"new\.png is new"):
        run(site, site / "out", disturb)
    assert not list((site / "out").glob("*.edgebundle"))
    (site / "judged" / LABELS[0] / "new.png").unlink()
    lines: list[str] = []
    run(site, site / "out", lines.append)
    # The control: left alone it is written, from the passes that were kept.
    assert len([line for line in lines if line.endswith("was finished")]) == 2
    assert len(list((site / "out").glob("*.edgebundle"))) == 1


def test_a_teacher_is_watched_too(site: Path) -> None:
    write_shades(site / "shades", seed=2, count=4)
    (site / "teacher.yaml").write_text(CARD)
    plan = {"epochs": 1, "batch": 8, "device": "cpu", "threads": 1, "workers": 1}
    passes = [{"pass": "distil", "teacher": "teacher.yaml", "training": plan}]
    recipe = recipe_of(passes, data={"train": "shades", "evaluate": "judged"}, sensitivity=False)
    source, out = resolve_source(site / "net.yaml"), site / "out"
    request = Request(
        site / "net.yaml", None, recipe, site, "generic-onnx", out, None, out / "page.html", out / "passes"
    )
    start, pictures = subject_of(source), Pictures(site, out / "passes")
    course = prepare(request, source, start, pictures, lambda _line: None).course
    course.unchanged()
    (site / "teacher.yaml").write_text(CARD + "# another\n")
    with pytest.raises(
        ContentChanged, match=r"`teacher` names changed since the recipe began: .*teacher\.yaml changed"
    ):
        course.unchanged()
    # The trials of a search are watched by the search.
    prepare(request, source, start, pictures, lambda _line: None, gated=False).course.unchanged()


@pytest.mark.parametrize("out", ["judged/out", "judged"])
def test_results_do_not_lie_in_the_data(site: Path, out: str) -> None:
    with pytest.raises(InputError, match=r"lies inside data\.evaluate, ") as refused:
        run(site, site / out, lambda _line: None)
    assert "beside the data" in refused.value.hint
    assert {path.name for path in (site / "judged").iterdir()} == set(LABELS)
