"""The models of other people that these tests convert and run: what each is, and its noted results.

A case's card is a template beside this file: `card_for` fills in where the weights lie and copies the
module of the factory beside the card, because a card's folder is where its factory is looked for.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from torch import nn

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Case:
    """One model: its definition, its weights and what it is known to answer.

    Attributes:
        name: also the name of its card's template.
        factory: `module:function` of a module in this folder.
        weights: the file, relative to the assets.
        task: what the module's outputs mean, as in the card.
        outputs: shapes of the module's outputs, in order.
        parameters: how many numbers were trained.
        expected: figures of `real_scores.measure` on the pictures of the assets.
    """

    name: str
    factory: str
    weights: str
    task: str
    outputs: tuple[tuple[int, ...], ...]
    parameters: int
    expected: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OnnxCase:
    """The authors' own export of the weights of a case, with the head as it left their hands.

    Attributes:
        case: name of the case with the same weights; pictures, preprocessing and results are the same.
        file: the `.onnx`, relative to the assets.
        head: the name under which the outputs' layout is known.
        input_name: what the file calls its picture.
    """

    case: str
    file: str
    head: str
    input_name: str


CASES = (
    Case(
        name="fastestdet",
        factory="fastestdet:fastestdet",
        weights="detection_coco/fastestdet_coco.pth",
        task="detect",
        outputs=((1, 484, 4), (1, 484, 80)),
        parameters=244_490,
        expected={"ap50": 40.8},
    ),
    Case(
        name="ultraface",
        factory="ultraface:ultraface",
        weights="face/ultraface_rfb_320.pth",
        task="detect",
        outputs=((1, 4420, 4), (1, 4420, 1)),
        parameters=276_292,
        expected={"right_counts": 3, "faces": 6},
    ),
    Case(
        name="mobilenet_v2",
        factory="folded_mobilenets:mobilenet_v2",
        weights="classification/mobilenet_v2_1.0_224_folded_fp32.pt",
        task="classify",
        outputs=((1, 1001),),
        parameters=3_489_097,
        expected={"right": 8},
    ),
    Case(
        name="vww_mobilenet_v1",
        factory="folded_mobilenets:vww_mobilenet_v1",
        weights="classification/vww_mobilenet_v1_0.25_96_folded_fp32.pt",
        task="classify",
        outputs=((1, 2),),
        parameters=210_850,
        expected={"right": 24},
    ),
    Case(
        name="resnet20",
        factory="resnet20:resnet20",
        weights="classification/resnet20-12fca82f.th",
        task="classify",
        outputs=((1, 10),),
        parameters=269_722,
        # The assets hold no CIFAR picture; these are the three photographs that show one of its classes.
        expected={"right": 3},
    ),
    Case(
        name="crnn_reader",
        factory="crnn_reader:crnn_reader",
        weights="crnn/nano_ocr_crnn_lstm.pth",
        task="text",
        outputs=((1, 33, 66),),
        parameters=4_802_370,
        expected={"print_words": 53, "print_words_without_stops": 58, "scene_words": 8, "as_reference": 70},
    ),
)

ONNX_CASES = (
    OnnxCase("fastestdet", "detection_coco/fastestdet_coco.onnx", head="fastestdet", input_name="input.1"),
    OnnxCase("ultraface", "face/ultraface_rfb_320.onnx", head="ssd", input_name="input"),
)


def case_named(name: str) -> Case:
    """Return the case of this name."""
    return next(case for case in CASES if case.name == name)


def card_text(name: str, assets: Path) -> str:
    """Return the model card (YAML) of a case whose weights lie in `assets`."""
    template = (HERE / "cards" / f"{name}.yaml").read_text("utf-8")
    return Template(template).substitute(assets=assets.resolve().as_posix())


def card_for(name: str, assets: Path, out: Path) -> Path:
    """Write a case's card into the folder `out`, its factory's module beside it; return the card's path."""
    module = case_named(name).factory.partition(":")[0]
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / f"{module}.py", out / f"{module}.py")
    card = out / f"{name}.yaml"
    card.write_text(card_text(name, assets), "utf-8")
    return card


def export_card_for(export: OnnxCase, assets: Path, out: Path) -> Path:
    """Write the card of the authors' export, without a factory, into the folder `out`; return its path."""
    card = yaml.safe_load(card_text(export.case, assets))
    del card["factory"]
    card["name"] += "-onnx"
    card["source"] = (assets.resolve() / export.file).as_posix()
    card["input"]["name"] = export.input_name
    card["postprocess"]["head"] = export.head
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{export.case}_onnx.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False), "utf-8")
    return path


def load(case: Case, assets: Path) -> nn.Module:
    """Build a case's module with its weights, ready to answer.

    Raises:
        RuntimeError: a tensor of the file or of the module has no partner of its shape.
    """
    import torch

    module, function = case.factory.split(":")
    network: nn.Module = getattr(importlib.import_module(module), function)()
    weights = torch.load(assets / case.weights, weights_only=True, map_location="cpu")
    weights = weights.get("state_dict", weights)
    # What training on several devices leaves behind: one prefix before all names.
    if all(key.startswith("module.") for key in weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    network.load_state_dict(weights, strict=True)
    return network.eval()
