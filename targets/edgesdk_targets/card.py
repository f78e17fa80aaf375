"""The model card: the one YAML file that says what a model is.

Paths in a card are relative to it. A card names code (its factory), so it is trusted like code; its values are
checked all the same, and an error names the line and the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.preprocess.spec import PRESETS, Preprocess
from edgesdk_targets.state import StateSpec
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.window import WindowSpec, check_window
from edgesdk_targets.yaml_file import load_yaml, validate

Task = Literal["classify", "detect", "text", "embed", "regress"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
VERSION = r"^[0-9]+(\.[0-9]+){0,2}([-+][0-9A-Za-z.-]{1,32})?$"


class ModelCard(LateModel):
    """What a model is, as its author wrote it down.

    Attributes:
        source: the weights, a `.pt2` or an `.onnx`.
        factory: `package.module:function`, which builds the module for a file of weights.
        code: the folder of the factory's code, relative to the card; the card's own unless given.
        input: the image input as the source model takes it.
        preprocess: None for a model whose input is no picture.
        labels: a file with one label a line, or the labels themselves.
        window: how frames become the input of a model that takes a clip.
        outputs: names of a torch model's outputs, in the order it returns them, where the task's usual names do not fit.
        agent: what the agent's configuration is where neither its file nor anybody else says otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    version: str = Field(default="0.1.0", pattern=VERSION)
    source: str | None = None
    factory: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    factory_args: dict[str, Any] = Field(default_factory=dict)
    code: str | None = None
    task: Task
    input: TensorSpec
    preprocess: Preprocess | None = None
    postprocess: Postprocess = Field(default_factory=Postprocess)
    labels: str | tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    state: tuple[StateSpec, ...] = ()
    window: WindowSpec | None = None
    license: str | None = None
    agent: dict[str, Any] = Field(default_factory=dict)

    @field_validator("input", mode="before")
    @classmethod
    def _image_layout(cls, value: Any) -> Any:
        shape = value.get("shape") if isinstance(value, dict) else None
        if isinstance(shape, (list, tuple)) and len(shape) in {4, 5}:
            return {"name": "image", "layout": "NCHW", **value}
        return value

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("preprocess") is None:
            return data
        preprocess = data["preprocess"]
        if isinstance(preprocess, str):
            preprocess = {"preset": preprocess}
        if not isinstance(preprocess, Mapping):
            return data
        chosen = dict(preprocess)
        preset = chosen.pop("preset", None)
        if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
            raise ValueError(f"preprocess.preset: unknown preset {preset!r}; one of {', '.join(PRESETS)}")
        if "size" not in chosen and (size := _image_size(data.get("input"), data.get("window"))):
            chosen["size"] = size
        return {**data, "preprocess": {**PRESETS.get(preset or "", {}), **chosen}}

    @model_validator(mode="after")
    def _clip_fits(self) -> ModelCard:
        check_window(self.window, self.input, alone=not self.state, picture=self.preprocess is not None)
        return self


@dataclass(frozen=True, slots=True)
class CardFile:
    """A card with what its paths lead to.

    Attributes:
        folder: where the card lies; its relative paths start here.
        labels: read from the labels file where the card names one.
        warnings: what looks like a mistake but is possible.
    """

    card: ModelCard
    folder: Path
    labels: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def source(self) -> Path | None:
        return self.folder / self.card.source if self.card.source else None

    @property
    def code(self) -> Path:
        """The folder that the factory is imported from."""
        return self.folder / self.card.code if self.card.code else self.folder


def read_card(path: str | Path, overrides: Mapping[str, Any] | None = None) -> CardFile:
    """Read and check a model card.

    Args:
        overrides: values that replace those of the file, by top-level key (`{"version": "2.0.0"}`); a mapping value is
            merged into the file's mapping.

    Raises:
        InputError: the file is missing, no YAML, or a field is wrong; the message names line and field.
    """
    path = Path(path)
    document = load_yaml(path)
    if isinstance(document.data, dict):
        document.data.update(merge_overrides(document.data, overrides or {}))
    card = validate(ModelCard, document)
    return finish_card(card, path.resolve().parent)


def merge_overrides(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card's raw values with others in their place; a mapping is merged into the card's mapping."""
    merged = dict(data)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def finish_card(card: ModelCard, folder: Path) -> CardFile:
    """Read the labels a card names and collect what looks wrong.

    Raises:
        InputError: the labels file cannot be read.
    """
    labels = _read_labels(folder / card.labels, card.task) if isinstance(card.labels, str) else card.labels
    warning = card.preprocess.unit_warning() if card.preprocess else None
    return CardFile(card, folder, labels, (warning,) if warning else ())


def _read_labels(path: Path, task: Task) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The labels file {path} cannot be read: {error}.",
            hint="Check `labels` in the card; UTF-8, one label a line.",
        ) from error
    # A text model's label is one character, which may be a space.
    labels = lines if task == "text" else [line.strip() for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    return tuple(labels)


def _image_size(tensor: Any, window: Any) -> tuple[int, int] | None:
    shape = tensor.get("shape") if isinstance(tensor, Mapping) else None
    if not isinstance(shape, (list, tuple)):
        return None
    axis = window.get("axis", 1) if isinstance(window, Mapping) else None
    if isinstance(axis, int) and len(shape) == 5:
        shape = [*shape[:axis], *shape[axis + 1 :]]
    if len(shape) != 4:
        return None
    return (shape[1], shape[2]) if tensor.get("layout") == "NHWC" else (shape[2], shape[3])
