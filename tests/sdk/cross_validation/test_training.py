"""Models trained anew for each fold: asked about what they never saw, gone on with after a stop, and compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from edgesdk.cli.compare import compare
from edgesdk.comparison.figures import Figures
from edgesdk.cross_validation import training
from edgesdk.cross_validation.folds import Spread, fold_differences
from edgesdk.cross_validation.outcome import CrossValidation
from edgesdk.cross_validation.training import cross_validate
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.resampled_t import resampled_t, two_sided
from edgesdk.train.plan import Plan
from edgesdk_targets.errors import InputError
from edgesdk_testkit.labelled_pictures import write_shades
from edgesdk_testkit.tiny_bundles import LABELS

PLAN = {"epochs": 2, "batch": 8, "learning_rate": 0.02, "device": "cpu", "threads": 1, "workers": 1}
FOLDS = 3
NET = """
from torch import nn

def net(width=24):
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, width), nn.ReLU(), nn.Linear(width, 5))
"""
CARD = f"""
name: shades
factory: net_of_folds:net
task: classify
input: {{name: image, shape: [1, 3, 16, 16]}}
preprocess: zero-one
labels: [{", ".join(LABELS)}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    (folder / "net_of_folds.py").write_text(NET)
    (folder / "wide.yaml").write_text(CARD)
    (folder / "thin.yaml").write_text(CARD + "factory_args: {width: 1}\n")
    (folder / "plan.yaml").write_text(json.dumps(PLAN))
    write_shades(folder / "shades", seed=2, count=6)
    return folder


def test_each_picture_is_asked_about_by_who_never_saw_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt: list[set[Path]] = []
    asked: list[set[Path]] = []
    divide, collect = training.divide, training.collect

    def dividing(dataset: Dataset, share: float, seed: int) -> Any:
        learnt.append({sample.path for sample in dataset.samples})
        return divide(dataset, share, seed)

    def collecting(predict: Any, pictures: Sequence[Path]) -> Any:
        asked.append(set(pictures))
        return collect(predict, pictures)

    monkeypatch.setattr(training, "divide", dividing)
    monkeypatch.setattr(training, "collect", collecting)

    def stopped(*_: Any) -> Any:
        if len(asked) == 1:
            raise KeyboardInterrupt
        return divide(*_)

    cards = {name: folder / name for name in ("wide.yaml", "thin.yaml")}
    with monkeypatch.context() as patch:
        patch.setattr(training, "divide", stopped)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(cards, folder / "shades", FOLDS, Plan(**PLAN), folder=tmp_path)
    asked.clear()
    lines: list[str] = []
    found = cross_validate(cards, folder / "shades", FOLDS, Plan(**PLAN), folder=tmp_path, say=lines.append)
    everything = {*(folder / "shades").rglob("*.png")}
    assert len(learnt) == len(asked) == 2 * FOLDS
    for one, other in zip(learnt, asked, strict=True):
        assert not one & other
        assert one | other == everything
    assert set.union(*asked[:FOLDS]) == everything
    assert sum(map(len, asked[:FOLDS])) == len(everything)
    # What was trained before the stop is not trained again.
    (again,) = [line for line in lines if "was finished" in line]
    assert again.startswith("wide.yaml, fold 1: was finished")
    assert [fold["epochs"] for fold in found.trainings["wide.yaml"]] == [2, 2, 2]
    # All pictures in their order: the figure over all is that of all folds together.
    top1 = found.figures.spreads["wide.yaml"]["top1"]
    sizes = [len(paths) for paths in asked[:FOLDS]]
    right = sum(value * size for value, size in zip(top1.values, sizes, strict=True))
    assert found.figures.cards["wide.yaml"].metrics["top1"].value == pytest.approx(right / len(everything))
    assert found.best == "wide.yaml"

    names = [str(folder / name) for name in cards]
    options: dict[str, Any] = {"data": folder / "shades", "folds": FOLDS, "train": folder / "plan.yaml", "json": True}
    compare(names, output=tmp_path, report=tmp_path / "report.html", **options)
    told = json.loads(capsys.readouterr().out)
    assert told["folds"][names[0]]["top1"]["folds"] == [round(value, 6) for value in top1.values]
    assert told["fold_differences"][0]["figure"] == "top1"
    assert told["best"] == names[0]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Over folds" in page
    assert "Which are trained better" in page


def test_a_fold_that_lacks_something_is_named(folder: Path, tmp_path: Path) -> None:
    few = write_shades(tmp_path / "few", seed=4, count=2)
    with pytest.raises(InputError, match=r"wide\.yaml, fold 1 of 2: The class .* has 1 picture only"):
        cross_validate({"wide.yaml": folder / "wide.yaml"}, few, 2, Plan(**PLAN), folder=tmp_path)


@pytest.mark.parametrize(
    ("artifact", "options", "said"),
    [
        ("wide.yaml", {"output": None}, "--train needs --output"),
        ("wide.yaml", {"folds": 0}, "--train needs --folds"),
        ("wide.yaml", {"max_ms": 3.0}, "a target, limits and times have no say"),
        ("some.edgebundle", {}, "is no card"),
        ("wide.yaml", {"train": None}, "--loss and --output are about --train"),
    ],
    ids=["folder", "folds", "limit", "bundle", "no-plan"],
)
def test_options_that_do_not_go_together_are_refused(
    folder: Path, tmp_path: Path, artifact: str, options: dict[str, Any], said: str
) -> None:
    given = {"data": folder / "shades", "folds": 3, "train": folder / "plan.yaml", "output": tmp_path, **options}
    with pytest.raises(InputError, match=said):
        compare([str(folder / artifact)], **given)


@pytest.mark.parametrize("freedom", range(1, 10))
def test_students_t_is_that_of_scipy(freedom: int) -> None:
    for t in (0.0, 0.2, -1.0, 2.5, 9.0):
        assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-12)


def test_folds_that_share_pictures_are_not_taken_for_independent() -> None:
    one, other = (0.91, 0.93, 0.92, 0.95, 0.90), (0.90, 0.91, 0.92, 0.92, 0.89)
    found = resampled_t(one, other)
    plain = stats.ttest_rel(one, other)
    # The t of Student, made smaller by sqrt((1/K) / (1/K + 1/(K - 1))).
    assert found.p == pytest.approx(2 * stats.t.sf(plain.statistic * (0.2 / 0.45) ** 0.5, 4))
    assert found.p > plain.pvalue
    assert resampled_t((0.5, 0.6), (0.4, 0.5)).p == 1.0


def test_of_errors_less_is_better() -> None:
    spreads = {
        "a": {"cer": Spread(0.1, 0.0, (0.10, 0.11, 0.10, 0.11))},
        "b": {"cer": Spread(0.4, 0.0, (0.41, 0.40, 0.39, 0.42))},
        "c": {"cer": Spread(0.4, 0.0, (0.41, 0.40))},
    }
    (found,) = fold_differences(spreads, "cer", 4)
    assert (found.first, found.second, found.better) == ("a", "b", "a")
    assert found.value > 0


def test_figures_of_different_folds_are_not_paired() -> None:
    """Each is undefined on another one of three folds: the second of one would stand beside the first of the other."""
    spreads = {"a": {"top1": Spread(0.9, 0.0, (0.9, 0.91))}, "b": {"top1": Spread(0.2, 0.0, (0.2, 0.2))}}
    assert fold_differences(spreads, "top1", 3) == ()
    assert len(fold_differences(spreads, "top1", 2)) == 1


@pytest.mark.parametrize(
    ("values", "best", "why"),
    [((0.8, 0.9), "a", "a has a mean top1 of 0.8500 ± 0.0500"), ((), None, "top1 is not defined on any fold")],
    ids=["one-card", "undefined"],
)
def test_what_is_known_of_one_card_or_of_none(values: tuple[float, ...], best: str | None, why: str) -> None:
    spread = Spread(0.85, 0.05, values) if values else Spread(float("nan"), float("nan"), ())
    found = CrossValidation(2, Figures("top1", {}, (), {"a": {"top1": spread}}), (), {})
    assert (found.best, found.why) == (best, why)
