"""From a source to a bundle: every form of source, every runtime, the same bytes twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Classification

pytestmark = pytest.mark.long

CARD: dict[str, Any] = {
    "name": "thing",
    "version": "2.1.0",
    "task": "classify",
    "input": {"name": "image", "shape": [1, 3, 24, 32]},
    "preprocess": {"preset": "minus-one-one", "resize": "stretch"},
    "labels": ["a", "b", "c", "d"],
}
MODULE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.a = torch.nn.Conv2d(3, width, 3, 2)
        self.b = torch.nn.Linear(width, 4)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)).mean((2, 3)))

def net(width=8):
    return Net(width)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "thing_net.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def net(folder: Path) -> torch.nn.Module:
    from edgesdk_converters.author_code import build

    torch.manual_seed(3)
    return build("thing_net:net", {}, folder).eval()


def _card(folder: Path, **changes: Any) -> Path:
    path = folder / "card.yaml"
    path.write_text(json.dumps({**CARD, **changes}))  # JSON is YAML
    return path


def _answer(bundle: Path, target: str | None = None) -> Any:
    picture = np.random.default_rng(5).integers(0, 255, (48, 64, 3), np.uint8)
    with load_model(bundle, target=target) as model:
        result = model(picture)
    assert isinstance(result, Classification)
    return np.sort(result.scores)


@pytest.mark.parametrize("form", ["weights", "safetensors", "pt2", "torchscript", "live", "onnx"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_every_form_of_source_gives_the_same_answers(form: str, folder: Path, net: torch.nn.Module) -> None:
    example = torch.zeros(1, 3, 24, 32)
    source: Any = folder / f"model.{form}"
    more: dict[str, Any] = {}
    if form == "weights":
        torch.save(net.state_dict(), source)
        source = _card(folder, source=source.name, factory="thing_net:net")
    elif form == "safetensors":
        save_file(net.state_dict(), source)
        more = {"card": _card(folder), "overrides": {"factory": "thing_net:net"}}
    elif form == "pt2":
        torch.export.save(torch.export.export(net, (example,)), folder / "model.pt2")
        source, more = folder / "model.pt2", {"card": _card(folder)}
    elif form == "torchscript":
        torch.jit.trace(net, example).save(str(source))
        more = {"card": _card(folder)}
    elif form == "live":
        source, more = net, {"card": CARD}
    else:
        first = convert(net, "generic-onnx", card=CARD, output=folder / "first")
        with open_bundle(first.path) as bundle:
            source.write_bytes(bundle.variant_files(bundle.manifest.variants[0])["model"])
        more = {"card": _card(folder)}
    made = convert(source, ["generic-onnx", "x86-cpu"], output=folder / "out", cache=None, **more)
    assert made.path.name == "thing-2.1.0.edgebundle"
    with torch.no_grad():
        reference = convert(net, "generic-onnx", card=CARD, output=folder / "reference")
    for target in ("generic-onnx", "x86-cpu"):
        assert np.allclose(_answer(made.path, target), _answer(reference.path), atol=1e-5)


def test_the_normalisation_is_folded_into_openvinos_model(folder: Path, net: torch.nn.Module) -> None:
    made = convert(net, "x86-cpu", card=CARD, output=folder)
    variant = made.variants[0]
    assert variant.folded
    assert (variant.inputs[0].dtype, variant.inputs[0].layout) == ("uint8", "NHWC")
    assert variant.inputs[0].shape == (1, 24, 32, 3)
    assert variant.status == "measured"


def test_a_bundle_made_twice_in_two_processes_is_byte_identical(folder: Path, net: torch.nn.Module) -> None:
    torch.save(net.state_dict(), folder / "w.pt")
    card = _card(folder, source="w.pt", factory="thing_net:net")
    targets = ["generic-onnx", "x86-cpu", "rpi5", "jetson-orin-nano"]
    here = convert(card, targets, output=folder / "here", cache=None)
    # This process has another seed, which Python chose by chance.
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", "convert", str(card), "--no-cache", "--json", "-o", str(folder / "there"),
         *(word for target in targets for word in ("-t", target))],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {v["runtime"] for v in document["variants"]} == {"onnxruntime", "openvino", "litert", "tensorrt"}
    made = (folder / "there/thing-2.1.0.edgebundle").read_bytes()
    assert made == here.path.read_bytes()
    for private in (str(folder), str(Path.home()), sys.prefix):
        assert private.encode() not in made


def test_equal_files_are_stored_once(folder: Path, net: torch.nn.Module) -> None:
    made = convert(net, ["jetson-orin-nano", "jetson-agx-orin"], card=CARD, output=folder, precision="fp16")
    first, second = made.variants
    assert first.files["model"] == second.files["model"]


def test_the_next_runtime_of_the_chain_is_built_and_the_reason_kept(folder: Path) -> None:
    class Determinant(torch.nn.Module):
        """ONNX has this op, LiteRT has not."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.det(x[:, :, :4, :4]).reshape(1, 3)

    made = convert(Determinant(), "rpi5", card={**CARD, "preprocess": None, "labels": []}, output=folder)
    variant = made.variants[0]
    assert variant.runtime.value == "onnxruntime"
    assert any("litert not taken" in note and "linalg_det" in note for note in variant.notes)


def test_an_old_parser_gets_an_opset_that_it_reads(folder: Path, net: torch.nn.Module) -> None:
    import onnx

    made = convert(net, ["jetson-nano", "jetson-orin-nano"], card=CARD, output=folder)
    opsets = {}
    with open_bundle(made.path) as bundle:
        for variant in bundle.manifest.variants:
            model = onnx.load_from_string(bundle.variant_files(variant)["model"])
            opsets[variant.target] = next(o.version for o in model.opset_import if not o.domain)
    assert opsets["jetson-nano"] <= 13
    assert opsets["jetson-orin-nano"] == 18


def test_precision_fp16_halves_the_weights(folder: Path) -> None:
    torch.manual_seed(0)
    big = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 24 * 32, 4))
    sizes = {
        precision: convert(big, "x86-cpu", card=CARD, output=folder / precision, precision=precision).sizes
        for precision in ("fp32", "fp16")
    }
    assert sizes["fp16"]["x86-cpu-openvino-fp16"] < 0.7 * sizes["fp32"]["x86-cpu-openvino-fp32"]


def test_units_that_look_wrong_are_warned_about(folder: Path, net: torch.nn.Module) -> None:
    wrong = {"color": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    made = convert(net, "generic-onnx", card={**CARD, "preprocess": wrong}, output=folder)
    assert "0..1 units" in made.warnings[0]
    assert not convert(net, "generic-onnx", card=CARD, output=folder).warnings


def test_json_keys_that_scripts_rely_on(folder: Path, net: torch.nn.Module) -> None:
    document = convert(net, "generic-onnx", card=CARD, output=folder).to_json()
    assert {"bundle", "digest", "variants"} <= set(document)
    variants: Any = document["variants"]
    assert {"id", "target", "runtime", "precision", "bytes", "parity", "status"} <= set(variants[0])


def test_provenance_names_tools_and_source_and_no_machine(folder: Path, net: torch.nn.Module) -> None:
    torch.save(net.state_dict(), folder / "w.pt")
    made = convert(_card(folder, source="w.pt", factory="thing_net:net"), "generic-onnx", output=folder)
    with open_bundle(made.path) as bundle:
        data = json.loads(bundle.read("provenance.json"))
    assert data["source"]["name"] == "w.pt"
    assert len(data["source"]["sha256"]) == 64
    assert data["tools"]["torch"].startswith("2.")


@pytest.mark.parametrize("name", ["detector", "classifier", "row_reader", "row_reader_stream"])
def test_the_sample_models_reach_every_runtime(name: str, root: Path, tmp_path: Path) -> None:
    made = convert(
        root / f"examples/digits/{name}.yaml", ["generic-onnx", "x86-cpu", "rpi5", "jetson-orin-nano"], output=tmp_path
    )
    assert [v.runtime.value for v in made.variants] == ["onnxruntime", "openvino", "litert", "tensorrt"]
    for variant in made.variants:
        floor = 60 if variant.precision.value == "fp32" else 35
        assert all(group["sqnr_db"] >= floor for group in variant.parity["groups"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_onnx_with_its_weights_in_a_second_file(folder: Path, net: torch.nn.Module) -> None:
    torch.onnx.export(net, (torch.zeros(1, 3, 24, 32),), folder / "two.onnx", dynamo=True, external_data=True)
    assert (folder / "two.onnx.data").is_file()
    made = convert(folder / "two.onnx", "x86-cpu", card=_card(folder), output=folder / "out", cache=None)
    reference = convert(net, "generic-onnx", card=CARD, output=folder / "reference")
    assert np.allclose(_answer(made.path), _answer(reference.path), atol=1e-5)
    (folder / "two.onnx.data").unlink()
    with pytest.raises(InputError, match="second file"):
        convert(folder / "two.onnx", "x86-cpu", card=_card(folder), output=folder / "out2", cache=None)


def test_a_module_that_returns_a_dict_keeps_its_names(folder: Path) -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.conv(x).mean((2, 3))}

    made = convert(Both(), ["generic-onnx", "rpi5"], card=CARD, output=folder)
    with open_bundle(made.path) as bundle:
        assert [spec.name for spec in bundle.manifest.outputs] == ["logits"]


def test_labels_that_do_not_fit_are_refused_before_anything_is_built(folder: Path, net: torch.nn.Module) -> None:
    with pytest.raises(InputError, match="label"):
        convert(net, "generic-onnx", card={**CARD, "labels": ["a", "b"]}, output=folder)
    assert not list(folder.glob("*.edgebundle"))


def test_an_edited_module_below_the_card_is_converted_anew(folder: Path) -> None:
    package = folder / "my"
    package.mkdir()
    (package / "__init__.py").write_text("")
    card = _card(folder, factory="my.net:build", source=None)
    answers = []
    for number, bias in enumerate((0.0, 1.0)):
        net = package / "net.py"
        net.write_text(
            f"import torch\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
            f"        return x.mean((2, 3)) @ torch.eye(3, 4) + torch.tensor([0.0, {bias}, 0.0, 0.0])\n\n"
            "def build():\n    return Net()\n"
        )
        # As long as before, and perhaps written within the same second: what Python compiled of it is told apart by its time.
        os.utime(net, (1e9 + number, 1e9 + number))
        for name in ("my", "my.net"):  # as in the next process
            sys.modules.pop(name, None)
        made = convert(card, "generic-onnx", output=folder / "out", cache=folder / "cache")
        with load_model(made.path) as model:
            result = model(np.zeros((24, 32, 3), np.uint8))
        assert isinstance(result, Classification)
        answers.append(float(result.scores.max()))
    assert abs(answers[1] - answers[0]) > 0.05
