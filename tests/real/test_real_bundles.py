"""Real weights through the product: card → convert → bundle → each runtime gives the noted results.

Three runtimes are reached by the targets whose chain begins with them. Parity is at least 60 dB in fp32 and 35 dB in
fp16 for every channel group.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from real_models import CASES, ONNX_CASES, Case, OnnxCase, card_for, export_card_for
from real_scores import measure

from edgesdk_converters.convert import Conversion, convert
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions

pytestmark = [pytest.mark.real, pytest.mark.long]

# Target → the runtime its chain begins with.
TARGETS = {"generic-onnx": "onnxruntime", "x86-cpu": "openvino", "rpi5": "litert"}
AP_TOLERANCE = 0.2  # points, between runtimes


def _converted(card: Path, out: Path, precision: str = "fp32", targets: tuple[str, ...] = tuple(TARGETS)) -> Conversion:
    made = convert(card, list(targets), output=out, precision=precision)
    assert [v.runtime.value for v in made.variants] == [TARGETS[t] for t in targets], [v.notes for v in made.variants]
    return made


def _figures(made: Conversion, target: str, name: str, assets: Path) -> dict[str, float]:
    low = {"score_threshold": 0.001} if name == "fastestdet" else None
    with load_model(made.path, target=target, postprocess=low, options=SessionOptions(threads=1)) as model:
        return measure(name, assets, model)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_runtime_gives_the_noted_results(case: Case, assets: Path, tmp_path: Path) -> None:
    made = _converted(card_for(case.name, assets, tmp_path), tmp_path / "out")
    for variant in made.variants:
        assert all(group["sqnr_db"] >= 60 for group in variant.parity["groups"]), (variant.id, variant.parity)
    figures = {target: _figures(made, target, case.name, assets) for target in TARGETS}
    for found in figures.values():
        for key, noted in case.expected.items():
            assert found[key] == pytest.approx(noted, abs=AP_TOLERANCE if key == "ap50" else 0), figures
    if "ap50" in case.expected:
        values = [found["ap50"] for found in figures.values()]
        assert max(values) - min(values) <= AP_TOLERANCE, figures


@pytest.mark.parametrize("export", ONNX_CASES, ids=lambda export: export.case)
def test_the_authors_own_onnx_reaches_every_runtime_without_a_factory(
    export: OnnxCase, assets: Path, tmp_path: Path
) -> None:
    made = _converted(export_card_for(export, assets, tmp_path), tmp_path / "out")
    for variant in made.variants:
        assert all(group["sqnr_db"] >= 60 for group in variant.parity["groups"]), (variant.id, variant.parity)
    expected = next(case.expected for case in CASES if case.name == export.case)
    for target in TARGETS:
        found = _figures(made, target, export.case, assets)
        for key, noted in expected.items():
            assert found[key] == pytest.approx(noted, abs=AP_TOLERANCE if key == "ap50" else 0)


@pytest.mark.parametrize("name", ["fastestdet", "mobilenet_v2"])
def test_half_precision_keeps_35_db_in_every_group(name: str, assets: Path, tmp_path: Path) -> None:
    made = convert(
        card_for(name, assets, tmp_path), ["x86-cpu", "rpi5", "jetson-orin-nano"], output=tmp_path, precision="fp16"
    )
    assert [v.runtime.value for v in made.variants] == ["openvino", "litert", "tensorrt"]
    for variant in made.variants:
        groups = variant.parity["groups"]
        assert all(group["sqnr_db"] >= 35 for group in groups), (variant.id, groups)
    sizes = list(made.sizes.values())
    whole = convert(card_for(name, assets, tmp_path / "w"), "x86-cpu", output=tmp_path / "w", precision="fp32")
    assert max(sizes) < 0.75 * next(iter(whole.sizes.values()))


def test_a_wrong_preprocessing_loses_the_noted_results(assets: Path, tmp_path: Path) -> None:
    """Negative control: red and blue exchanged, and the same checks fail."""
    card = card_for("fastestdet", assets, tmp_path)
    text = card.read_text()
    assert "color: bgr" in text
    card.write_text(text.replace("color: bgr", "color: rgb"))
    made = _converted(card, tmp_path / "out", targets=("generic-onnx",))
    assert _figures(made, "generic-onnx", "fastestdet", assets)["ap50"] < 40.8 - 2
