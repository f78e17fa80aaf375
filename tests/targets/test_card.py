from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesdk_targets.card import CardFile, ModelCard, read_card
from edgesdk_targets.errors import InputError

CARD: dict[str, Any] = {
    "name": "fastestdet",
    "version": "1.0.0",
    "source": "weights.pth",
    "factory": "my_models:fastestdet",
    "factory_args": {"num_classes": 5},
    "task": "detect",
    "input": {"shape": [1, 3, 352, 320]},
    "preprocess": {"color": "bgr", "mean": [0, 0, 0], "std": [255, 255, 255]},
    "postprocess": {"score_threshold": 0.5},
    "labels": ["a", "b"],
}


def read(folder: Path, overrides: dict[str, Any] | None = None, **changes: Any) -> CardFile:
    path = folder / "card.yaml"
    card = {key: value for key, value in {**CARD, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(card, allow_unicode=True, sort_keys=False), "utf-8")
    return read_card(path, overrides)


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(folder, **changes)
    return str(raised.value)


class TestReading:
    def test_all_of_it(self, tmp_path: Path) -> None:
        found = read(tmp_path)
        card = found.card
        assert (card.name, card.version, card.task) == ("fastestdet", "1.0.0", "detect")
        assert (card.input.name, card.input.layout, card.input.dtype) == ("image", "NCHW", "float32")
        assert card.postprocess.score_threshold == 0.5
        assert found.source == tmp_path / "weights.pth"
        assert found.labels == ("a", "b")
        assert found.warnings == ()

    def test_the_size_is_the_inputs(self, tmp_path: Path) -> None:
        card = read(tmp_path).card
        assert card.preprocess is not None
        assert card.preprocess.size == (352, 320)
        rows = {"shape": [1, 100, 200, 3], "layout": "NHWC"}
        assert read(tmp_path, input=rows).card.preprocess.size == (100, 200)  # type: ignore[union-attr]
        given = {**CARD["preprocess"], "size": [10, 20]}
        assert read(tmp_path, preprocess=given).card.preprocess.size == (10, 20)  # type: ignore[union-attr]

    @pytest.mark.parametrize("preprocess", ["imagenet", {"preset": "imagenet", "crop_fraction": 0.5}])
    def test_presets(self, tmp_path: Path, preprocess: Any) -> None:
        spec = read(tmp_path, preprocess=preprocess).card.preprocess
        assert spec is not None
        assert (spec.mean[0], spec.resize) == (123.675, "center_crop")
        assert spec.crop_fraction == (0.875 if preprocess == "imagenet" else 0.5)

    def test_a_model_without_a_picture(self, tmp_path: Path) -> None:
        card = read(tmp_path, preprocess=None, input={"name": "x", "shape": [1, 10]}, task="regress").card
        assert (card.preprocess, card.input.layout) == (None, None)

    def test_overrides_replace_values_and_merge_mappings(self, tmp_path: Path) -> None:
        card = read(tmp_path, {"version": "2.0.0", "postprocess": {"iou_threshold": 0.9}, "license": "MIT"}).card
        assert (card.version, card.license) == ("2.0.0", "MIT")
        assert (card.postprocess.score_threshold, card.postprocess.iou_threshold) == (0.5, 0.9)

    def test_unit_values_are_warned_about(self, tmp_path: Path) -> None:
        wrong = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        (warning,) = read(tmp_path, preprocess=wrong).warnings
        assert "123.675" in warning


class TestLabels:
    def test_from_a_file_beside_the_card(self, tmp_path: Path) -> None:
        (tmp_path / "coco.names").write_text("person\n bicycle \ncar\n\n", "utf-8")
        assert read(tmp_path, labels="coco.names").labels == ("person", "bicycle", "car")

    def test_of_a_text_model_a_space_is_a_label(self, tmp_path: Path) -> None:
        (tmp_path / "chars").write_text("a\n \né\n", "utf-8")
        assert read(tmp_path, labels="chars", task="text").labels == ("a", " ", "é")

    @pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
    def test_a_file_that_cannot_be_read(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "names").write_bytes(content)
        assert "names" in refused(tmp_path, labels="names")

    def test_words_that_yaml_would_change_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "card.yaml"
        read(tmp_path)
        path.write_text(path.read_text("utf-8").replace("- a\n- b", "- no\n- 010\n- 2020-01-01"), "utf-8")
        with pytest.raises(InputError, match="labels"):
            read_card(path)
        path.write_text(path.read_text("utf-8").replace("010", "'010'"), "utf-8")
        assert read_card(path).labels == ("no", "010", "2020-01-01")


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"name": None}, "name"),
            ({"name": "a b"}, "name"),
            ({"task": "detection"}, "task"),
            ({"version": "one"}, "version"),
            ({"factory": "my_models.fastestdet"}, "factory"),
            ({"factory": "os:system; rm"}, "factory"),
            ({"input": {"shape": [1, 3, "x", 320]}}, "input.shape"),
            ({"input": {"shape": [1, 3, 0, 320]}}, "input.shape"),
            ({"input": 5}, "input"),
            ({"input": {"shape": 5}}, "input"),
            ({"input": {}}, "input.shape"),
            ({"preprocess": "imagenett"}, "imagenett"),
            ({"preprocess": {"preset": ["imagenet"]}}, "preset"),
            ({"preprocess": 5}, "preprocess"),
            ({"preprocess": {"colour": "bgr"}}, "color"),
            ({"postprocess": {"score_threshold": 50}}, "postprocess.score_threshold"),
            ({"state": [{"input": "h"}]}, "state[0].output"),
            ({"preproces": {}}, "preprocess"),
        ],
    )
    def test_a_wrong_field_is_named_with_its_line(self, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
        message = refused(tmp_path, **changes)
        assert said in message
        assert "card.yaml:" in message

    @pytest.mark.parametrize("text", ["- a\n", "just text", "a: [", "\x00", ""])
    def test_what_is_no_card(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "card.yaml"
        path.write_text(text, "utf-8")
        with pytest.raises(InputError):
            read_card(path)

    def test_a_card_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="absent"):
            read_card(tmp_path / "absent.yaml")


def test_a_card_does_not_change() -> None:
    card = ModelCard.model_validate({**CARD, "labels": ("a",)})
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"  # type: ignore[misc]
