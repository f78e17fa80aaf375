"""Every model with real weights, in the form that is shipped for TensorRT: read and built by TensorRT-RTX, without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_models import CASES, Case, card_for

from edgesdk_converters.cache import StepCache, default_folder
from edgesdk_converters.reference import open_reference
from edgesdk_converters.source import resolve_source
from edgesdk_converters.steps.fp16_onnx import fp16_onnx
from edgesdk_converters.steps.int8_onnx import int8_onnx
from edgesdk_converters.steps.older_opset import older_opset
from edgesdk_converters.steps.tensorrt_rtx_check import Verdict, check
from edgesdk_converters.workshop import Workshop

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed", exc_type=ImportError)
pytestmark = [pytest.mark.real, pytest.mark.long]

# JetPack 6 reads no newer one.
OPSET = 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_half_precision_and_eight_bits_are_taken_and_built(case: Case, assets: Path, tmp_path: Path) -> None:
    """Eight bits with ranges of random inputs: what is asked is whether it builds, not how well it answers."""
    source = resolve_source(card_for(case.name, assets, tmp_path))
    reference = open_reference(source)
    # As `convert` exports it: where another test has, it is there.
    exported = Workshop(source, reference, StepCache(default_folder()), lambda _line: None).onnx()
    model = older_opset(exported, OPSET)
    assert check(fp16_onnx(model)) == Verdict("accepted", built=True)
    random = np.random.default_rng(0)
    samples = {spec.name: random.normal(0, 1, (2, *spec.shape)).astype(spec.dtype) for spec in reference.inputs}
    assert check(int8_onnx(model, samples, style="symmetric")) == Verdict("accepted", built=True)
