"""By what a recipe's data are known again: a table by the pictures that it lists, folders by what lies behind links too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from edgesdk.compression.recipe import recipe_of
from edgesdk.compression_run.data import open_data
from edgesdk_targets.card import read_card
from edgesdk_testkit.labelled_pictures import write_shades
from edgesdk_testkit.tiny_bundles import LABELS

CARD = f"""
name: shades
source: none.onnx
task: classify
input: {{name: image, shape: [1, 3, 16, 16]}}
preprocess: {{preset: zero-one, resize: stretch}}
labels: [{", ".join(LABELS)}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "card.yaml").write_text(CARD)
    write_shades(tmp_path / "shades", seed=1, count=2)
    return tmp_path


def _digests(folder: Path, **data: str) -> Mapping[str, str]:
    return open_data(recipe_of([{"pass": "fold"}], data=data), folder, read_card(folder / "card.yaml")).digests


def test_exchanged_pictures_of_a_table_are_other_pictures(folder: Path) -> None:
    one, other, unlisted = *sorted((folder / "shades" / LABELS[0]).iterdir()), folder / "shades/unlisted.png"
    table = folder / "shades/labels.csv"
    table.write_text(f"file,label\n{LABELS[0]}/{one.name},{LABELS[0]}\n")
    for place in ("shades", "shades/labels.csv"):
        before = _digests(folder, evaluate=place)
        unlisted.write_bytes(other.read_bytes())
        assert _digests(folder, evaluate=place) == before
        kept = one.read_bytes()
        one.write_bytes(other.read_bytes())
        assert _digests(folder, evaluate=place) != before
        one.write_bytes(kept)
        assert _digests(folder, evaluate=place) == before


def test_exchanged_pictures_behind_a_linked_folder_are_other_pictures(folder: Path) -> None:
    linked = folder / "linked"
    linked.mkdir()
    for label in LABELS:
        (linked / label).symlink_to(folder / "shades" / label)
    before = _digests(folder, evaluate="linked")
    one, other = sorted((folder / "shades" / LABELS[0]).iterdir())
    one.write_bytes(other.read_bytes())
    assert _digests(folder, evaluate="linked") != before
