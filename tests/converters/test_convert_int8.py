"""INT8 from a source to a bundle: calibration, tiers, gates, and what is written of them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from edgesdk_converters.convert import convert
from edgesdk_converters.proving.gate import Gate, Outcome, Predict, Verdict
from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import GateFailed, InputError, ParityError
from edgesdk_targets.results import Classification
from edgesdk_targets.tensor import Array

pytestmark = pytest.mark.long

CARD: dict[str, Any] = {
    "name": "thing",
    "version": "1.0.0",
    "task": "classify",
    "input": {"name": "image", "shape": [1, 3, 32, 32]},
    "preprocess": {"preset": "minus-one-one", "resize": "stretch"},
    "labels": ["a", "b", "c", "d"],
}


class Net(torch.nn.Module):
    """Enough layers for a head, a body and a ranking."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 8, 8, 16, 16]
        convs = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths)]
        self.body = torch.nn.Sequential(*(part for conv in convs for part in (conv, torch.nn.ReLU())))
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.body(x).mean((2, 3)))
        return answer


class Picky:
    """A gate with its answers given beforehand; it still asks both models."""

    warnings: tuple[str, ...] = ()

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[str] = []

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        picture = draw_picture((32, 32), 3)
        assert reference(picture).kind == artifact(picture).kind == "classification"
        self.asked.append(name)
        outcome = self.outcomes.pop(0)
        return Verdict(outcome, f"it was decided: {outcome}", {"answers": 1})

    def __call__(self, *_: object) -> tuple[Gate, list[Path]]:
        return self, []


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The net as ONNX, exported once."""
    torch.manual_seed(4)
    return exported(Net().eval(), tmp_path_factory.mktemp("net") / "net.onnx")


def exported(net: torch.nn.Module, path: Path) -> Path:
    content = onnx_from_torch(net, (torch.zeros(1, 3, 32, 32),), input_names=["image"], output_names=["logits"])
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def pictures() -> list[Array]:
    return [draw_picture((40, 40), seed) for seed in range(40)]


def test_int8_asks_for_pictures(net: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="int8 needs pictures") as caught:
        convert(net, "rpi5", card=CARD, output=tmp_path, precision="int8")
    assert "--calib-data" in caught.value.hint


def test_the_bundle_says_what_it_was_calibrated_on(net: Path, pictures: list[Array], tmp_path: Path) -> None:
    digests = set()
    for place in ("first", "second"):
        made = convert(
            net, "generic-onnx", card=CARD, output=tmp_path / place, precision="int8", calib_data=pictures, cache=None
        )
        with open_bundle(made.path) as bundle:
            record = json.loads(bundle.read("provenance.json"))["calibration"]
        assert record["chosen"] == len(pictures)
        assert record["digest"].startswith("sha256:")
        digests.add(made.digest)
    assert len(digests) == 1


def test_several_precisions_are_several_variants(net: Path, pictures: list[Array], tmp_path: Path) -> None:
    made = convert(
        net, "generic-onnx", card=CARD, output=tmp_path, precision=["fp32", "int8"], calib_data=pictures, calib_count=20
    )
    assert [v.id for v in made.variants] == ["generic-onnx-onnxruntime-fp32", "generic-onnx-onnxruntime-int8"]
    assert all(v.parity["passed"] for v in made.variants)
    assert made.variants[0].parity["worst"]["sqnr_db"] > made.variants[1].parity["worst"]["sqnr_db"] + 20


class TestTiers:
    def test_what_fails_is_tried_again_with_more_in_float(
        self, net: Path, pictures: list[Array], tmp_path: Path
    ) -> None:
        gate = Picky("fail", "pass")
        made = convert(
            net, "generic-onnx", card=CARD, output=tmp_path, precision="int8", calib_data=pictures, gate=gate
        )
        variant = made.variants[0]
        assert variant.precision.value == "mixed"
        assert variant.id.endswith("-mixed")
        assert variant.accuracy["outcome"] == "pass"
        assert sum("not taken" in note for note in variant.notes) == 1
        assert len(gate.asked) == 2

    def test_what_never_passes_is_not_written(self, net: Path, pictures: list[Array], tmp_path: Path) -> None:
        gate = Picky(*(["fail"] * 9))
        with pytest.raises(GateFailed, match="not accurate enough"):
            convert(net, "generic-onnx", card=CARD, output=tmp_path, precision="int8", calib_data=pictures, gate=gate)
        assert not list(tmp_path.iterdir())

    def test_too_few_samples_are_no_failure_and_are_said(
        self, net: Path, pictures: list[Array], tmp_path: Path
    ) -> None:
        gate = Picky("need more samples")
        made = convert(
            net, "generic-onnx", card=CARD, output=tmp_path, precision="int8", calib_data=pictures, gate=gate
        )
        assert [v.precision.value for v in made.unproven] == ["int8"]

    def test_layers_that_the_user_keeps_stay_in_float(self, net: Path, pictures: list[Array], tmp_path: Path) -> None:
        plain, kept = (
            convert(
                net,
                "generic-onnx",
                card=CARD,
                output=tmp_path / str(len(patterns)),
                precision="int8",
                calib_data=pictures,
                keep_float=patterns,
            )
            for patterns in ((), ("*conv*",))
        )
        assert kept.variants[0].precision.value == "mixed"
        assert kept.variants[0].parity["worst"]["sqnr_db"] > plain.variants[0].parity["worst"]["sqnr_db"]
        with pytest.raises(InputError, match="nonsense"):
            convert(
                net,
                "generic-onnx",
                card=CARD,
                output=tmp_path,
                precision="int8",
                calib_data=pictures,
                keep_float=["nonsense"],
            )

    def test_explain_ranks_the_layers(self, net: Path, pictures: list[Array], tmp_path: Path) -> None:
        made = convert(
            net, "generic-onnx", card=CARD, output=tmp_path, precision="int8", calib_data=pictures, explain=True
        )
        costs = [layer["sqnr_db"] for layer in made.sensitivity]
        assert len(costs) >= 5
        assert costs == sorted(costs)
        with open_bundle(made.path) as bundle:
            assert len(json.loads(bundle.read("reports/sensitivity.json"))) == len(costs)


class FarApart(torch.nn.Module):
    """Between its depthwise and its pointwise convolution channels lie far apart: one range for all of them is coarse."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.deep = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.point = torch.nn.Conv2d(8, 8, 1)
        self.head = torch.nn.Linear(8, 4)
        with torch.no_grad():
            self.deep.bias.copy_(torch.tensor([-12.0, 0.0, 10.0, 16.0, -6.0, 2.0, -18.0, 8.0]))  # type: ignore[union-attr]
            self.point.bias -= (self.point.weight[:, :, 0, 0] @ self.deep.bias).detach()  # type: ignore[operator]
            self.head.weight *= 12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.point(self.deep(torch.relu(self.first(x)))))
        answer: torch.Tensor = self.head(y.mean((2, 3)))
        return answer


class Close:
    """A gate that asks for scores like those of the float model."""

    warnings: tuple[str, ...] = ()

    def __init__(self, pictures: list[Array], limit: float) -> None:
        self.pictures, self.limit = pictures, limit
        self.found: list[float] = []

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        apart = [np.abs(_scores(reference, one) - _scores(artifact, one)).max() for one in self.pictures]
        self.found.append(float(np.mean(apart)))
        outcome: Outcome = "pass" if self.found[-1] <= self.limit else "fail"
        return Verdict(outcome, f"{name} is {self.found[-1]:.4f} apart", {})

    def __call__(self, *_: object) -> tuple[Gate, list[Path]]:
        return self, []


def _scores(predict: Predict, picture: Array) -> Array:
    """Return the scores by class, (4,)."""
    result = predict(picture)
    assert isinstance(result, Classification)
    scores: Array = np.zeros(4)
    scores[np.asarray(result.class_ids)] = result.scores
    return scores


def test_tuned_weights_mend_what_plain_int8_breaks(pictures: list[Array], tmp_path: Path) -> None:
    """The control: with tuning switched off the same gate is never passed, whatever is kept in float."""
    torch.manual_seed(4)
    net = exported(FarApart().eval(), tmp_path / "net.onnx")
    judged = [draw_picture((40, 40), seed) for seed in range(100, 112)]

    def converted(gate: Close, *, tune: bool) -> Variant:
        made = convert(
            net,
            "generic-onnx",
            card=CARD,
            output=tmp_path,
            precision="int8",
            calib_data=pictures,
            gate=gate,
            tune=tune,
        )
        return made.variants[0]

    gate = Close(judged, 0.004)
    tuned = converted(gate, tune=True)
    assert (tuned.precision.value, len(gate.found)) == ("int8", 2)
    assert gate.found[1] < 0.5 * gate.found[0]
    assert any("weights tuned to 8 bits" in note for note in tuned.notes)
    with pytest.raises(GateFailed, match="apart"):
        converted(Close(judged, 0.004), tune=False)


def test_a_model_without_numbers_is_refused(pictures: list[Array], tmp_path: Path) -> None:
    broken = Net().eval()
    with torch.no_grad():
        broken.head.weight[0, 0] = torch.nan
    (tmp_path / "in").mkdir()
    net = exported(broken, tmp_path / "in" / "net.onnx")
    with pytest.raises((InputError, ParityError)):
        convert(net, "generic-onnx", card=CARD, output=tmp_path / "out", precision="int8", calib_data=pictures)
    assert not (tmp_path / "out").exists()


class Dazzled(Net):
    """Has no answer for bright pictures."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * torch.sqrt(0.5 - x.max())


def test_a_model_that_has_no_answer_for_some_pictures_is_named_and_not_its_artifact(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    net = exported(Dazzled().eval(), tmp_path / "in" / "net.onnx")
    with pytest.raises(InputError, match="model's own answer 'logits' holds NaN for one of the pictures"):
        convert(net, "generic-onnx", card=CARD, output=tmp_path / "out", precision="fp32")
    assert not (tmp_path / "out").exists()


def test_calibration_and_evaluation_never_share_a_picture(net: Path, pictures: list[Array], tmp_path: Path) -> None:
    pictures = [draw_picture((240, 320), seed) for seed in range(12)]
    for folder, chosen in (("typical", pictures[:8]), ("labelled", pictures[7:])):
        (tmp_path / folder / "a").mkdir(parents=True)
        for number, picture in enumerate(chosen):
            # Not even as another file of the same picture.
            suffix = "png" if folder == "typical" else "jpg"
            cv2.imwrite(str(tmp_path / folder / "a" / f"{number}.{suffix}"), picture)
    with pytest.raises(InputError, match="calibration pictures are in the evaluation data"):
        convert(
            net,
            "generic-onnx",
            card=CARD,
            output=tmp_path / "out",
            precision="int8",
            calib_data=tmp_path / "typical",
            data=tmp_path / "labelled",
        )


def test_int8_that_nobody_asked_for_by_name_has_to_be_worth_it(
    net: Path, pictures: list[Array], tmp_path: Path
) -> None:
    class OnlyFloat(Picky):
        def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
            self.outcomes = ["pass" if name.endswith("fp32") else "fail"]
            return super().judge(name, reference, artifact)

    gate = OnlyFloat()
    made = convert(net, "generic-onnx", card=CARD, output=tmp_path, calib_data=pictures, gate=gate)
    variant = made.variants[0]
    assert variant.precision.value == "fp32"
    assert any("int8 not taken" in note for note in variant.notes)


@pytest.mark.parametrize("name", ["detector", "row_reader_stream"])
def test_the_sample_models_reach_int8_on_every_runtime(name: str, root: Path, tmp_path: Path) -> None:
    import sys

    sys.path.insert(0, str(root / "examples/digits"))
    try:
        from make_data import train_split
        from render_eval import SETS

        SETS[name](train_split(), tmp_path / "typical", 24, 5)
    finally:
        sys.path.remove(str(root / "examples/digits"))
    made = convert(
        root / f"examples/digits/{name}.yaml",
        ["generic-onnx", "x86-cpu", "rpi5", "jetson-orin-nano"],
        output=tmp_path,
        precision="int8",
        calib_data=tmp_path / "typical",
        calib_count=24,
    )
    assert [v.runtime.value for v in made.variants] == ["onnxruntime", "openvino", "litert", "tensorrt"]
    assert {v.precision.value for v in made.variants} <= {"int8", "mixed"}
    assert all(np.isfinite(v.parity["worst"]["sqnr_db"]) for v in made.variants)


def test_weights_take_half_their_range_where_the_target_says_that_products_overflow(
    net: Path, pictures: list[Array], root: Path, tmp_path: Path
) -> None:
    profile = (root / "targets/edgesdk_targets/profiles/x86-cpu.yaml").read_text()
    old = tmp_path / "old-pc.yaml"
    old.write_text(
        re.sub(r"aliases:.*\n", "", profile).replace("name: x86-cpu", "name: old-pc").replace("[sse4_2]", "[avx2]")
    )
    largest = {}
    for target in ("x86-cpu", str(old)):
        made = convert(net, target, card=CARD, output=tmp_path / "out", precision="int8", calib_data=pictures)
        with open_bundle(made.path) as bundle:
            weights = bundle.variant_files(made.variants[0])["weights"]
        kernel = np.frombuffer(weights, np.int8)
        largest[target] = int(np.mean(np.abs(kernel) > 64) * 1000)
    assert largest["x86-cpu"] > largest[str(old)]
