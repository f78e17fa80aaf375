"""Features tell classes apart, the right ones are chosen, and a model's own can be used."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from edgesdk.cli.app import run
from edgesdk.data.features.choosing import choose
from edgesdk.data.features.classical import NAMES, classical_features
from edgesdk.data.features.embedding import embedding_of
from edgesdk.data.features.table import Features
from edgesdk.data.index.item import Item
from edgesdk.data.selecting import select
from edgesdk.data.ssim import ssim
from edgesdk_targets.errors import InputError
from edgesdk_testkit.picture_sets import encoded_again, scene, write_class_folders, write_picture


def table(matrix: np.ndarray, classes: list[str]) -> Features:
    items = tuple(Item(Path(f"{i}"), f"{i}", f"{i}", classes=(name,)) for i, name in enumerate(classes))
    return Features(items, tuple(f"f{i}" for i in range(matrix.shape[1])), matrix.astype(np.float32))


def test_classical_features_say_what_their_names_say() -> None:
    def of(picture: np.ndarray) -> dict[str, float]:
        return dict(zip(NAMES, classical_features(picture).tolist(), strict=True))

    plain = scene(0)
    dark, blurred, grey = plain // 2, cv2.GaussianBlur(plain, (0, 0), 3), cv2.cvtColor(plain, cv2.COLOR_BGR2GRAY)
    whole = of(plain)
    assert of(dark)["brightness"] < whole["brightness"]
    assert of(blurred)["sharpness"] < whole["sharpness"]
    assert of(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))["colourfulness"] == pytest.approx(0, abs=1e-6)
    assert sum(whole[f"pattern_{i}"] for i in range(10)) == pytest.approx(1)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 255  # upright edges: their gradients lie along x, direction 0
    told = of(stripes)
    assert told["direction_11_0"] > 0.9
    assert told["direction_11_4"] < 0.2
    assert np.isfinite(classical_features(np.zeros((20, 20, 3), np.uint8))).all()


@pytest.mark.parametrize("way", ["mutual-information", "elimination"])
def test_the_features_that_tell_the_classes_are_chosen(way: str) -> None:
    rng = np.random.default_rng(0)
    classes = [str(n % 3) for n in range(240)]
    matrix = rng.normal(size=(240, 12))
    for place, column in enumerate((2, 7, 9)):
        matrix[:, column] += [3.0 * (name == str(place)) for name in classes]
    chosen, scores = choose(table(matrix, classes), way, 3)
    assert set(chosen) == {2, 7, 9}
    assert len(scores) == 12


def test_variance_does_not_depend_on_units() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([np.zeros(50), rng.integers(0, 2, 50), rng.normal(size=50)])
    chosen, _ = choose(table(matrix * [1, 1e-6, 1e6], ["a"] * 50), "variance", 1)
    assert chosen == [1]


def test_choosing_by_class_without_classes_is_refused() -> None:
    with pytest.raises(InputError, match="two classes"):
        choose(table(np.eye(4), ["a"] * 4), "elimination", 2)
    with pytest.raises(InputError, match="no way"):
        choose(table(np.eye(4), ["a"] * 4), "magic", 2)


def test_a_choice_covers_better_than_chance() -> None:
    rng = np.random.default_rng(0)
    matrix = np.concatenate([rng.normal(0, 0.1, (300, 2)), rng.normal(5, 0.1, (3, 2)), rng.normal(-5, 0.1, (3, 2))])
    chosen = select(table(matrix, ["a"] * 306), 5)
    assert chosen.radius < 0.5 * chosen.random_radius


def test_ssim_is_that_of_the_paper() -> None:
    """Against the same formula on scipy's Gaussian, cut to the same window."""
    one, other = scene(3), encoded_again(scene(3), 30)
    x, y = (p.astype(np.float64) @ [0.114, 0.587, 0.299] for p in (one, other))

    def blurred(plane: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(plane, 1.5, truncate=3.5, mode="mirror"))

    mx, my = blurred(x), blurred(y)
    vx, vy, vxy = blurred(x * x) - mx**2, blurred(y * y) - my**2, blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    theirs = ((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))[5:-5, 5:-5].mean()
    assert ssim(one, other) == pytest.approx(theirs, abs=1e-9)
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, scene(4)) < 0.5


def test_the_command_writes_features_and_a_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(tmp_path / "set", {"cat": 6})
    for number in range(6):
        write_picture(tmp_path / f"set/dark/{number}.png", scene(number + 40, (60, 80)) // 4)
    (tmp_path / "set/cat/bad.png").write_bytes(b"")
    words = ["data", "features", str(tmp_path / "set"), "--choose", "mutual-information", "--count", "5", "--json"]
    assert run([*words, "-o", str(tmp_path / "f.npz"), "--report", str(tmp_path / "map.html"), "--map", "tsne"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 12
    assert [one["name"] for one in told["unread"]] == ["cat/bad.png"]
    assert any(name.startswith("light") for name in told["features"]), "the classes differ in their light"
    with np.load(tmp_path / "f.npz", allow_pickle=False) as kept:
        assert kept["features"].shape == (12, 5)
        assert list(kept["columns"]) == told["features"]
    assert "<svg" in (tmp_path / "map.html").read_text()


def test_an_onnx_needs_to_be_told_how_pictures_are_prepared(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", {"cat": 2})
    (tmp_path / "m.onnx").write_bytes(b"no model")
    words = ["data", "features", str(tmp_path / "set"), "--model", str(tmp_path / "m.onnx")]
    assert run(words) == 2
    assert run([*words, "--preset", "zero-one"]) == 2
    assert run([*words, "--preset", "unheard-of"]) == 2


def test_a_card_is_converted_and_its_backbone_describes_pictures(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "seen_nets.py").write_text("from edgesdk_testkit.nets_to_compress import residual\n", "utf-8")
    (tmp_path / "m.yaml").write_text(
        "name: m\ntask: classify\nfactory: seen_nets:residual\ninput: {shape: [1, 3, 16, 16]}\n"
        "preprocess: {preset: zero-one, resize: stretch}\n",
        "utf-8",
    )
    seen = embedding_of(tmp_path / "m.yaml")
    dark, light = (seen(np.full((20, 20, 3), level, np.uint8)) for level in (10, 240))
    # What its last layer is given: sixteen channels.
    assert dark.shape == (16,)
    assert np.isfinite(dark).all()
    assert not np.allclose(dark, light)
