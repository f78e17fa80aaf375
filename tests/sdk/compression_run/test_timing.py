"""Channels go until a real runtime is as quick as was asked for: converted, and measured in a process of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from edgesdk.compression import prune_channels
from edgesdk.compression.model_size import total_macs
from edgesdk.compression.page import _brings
from edgesdk.compression.pass_settings import Sparsify
from edgesdk.compression.prune_weights import sparsify_pass
from edgesdk.compression.recipe import recipe_of
from edgesdk.compression.workbench import Workbench
from edgesdk.compression_run import timing
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import prepare
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import subject_of
from edgesdk.compression_run.timing import _told, timing_for
from edgesdk.report.page import Page
from edgesdk_converters.proving import speed
from edgesdk_converters.source import resolve_source
from edgesdk_testkit.nets_to_compress import residual, subject

# Wide enough that a tenth of its channels is many times as quick, whatever else the machine does.
CARD = """\
name: wide
source: wide.safetensors
factory: wide_nets:residual
factory_args: {width: 40}
task: classify
input: {name: image, shape: [1, 3, 16, 16]}
preprocess: {preset: zero-one, resize: stretch}
labels: [a, b, c, d]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained model with a few pictures, and measurements that take less long."""
    monkeypatch.setattr(timing, "_SECONDS", 0.1)
    # Whether INT8 is faster than float here, which each conversion asks, is not what is tested.
    monkeypatch.setattr(speed, "_SLICES", 1)
    monkeypatch.setattr(prune_channels, "_MEASURED_HALVINGS", 0)
    (tmp_path / "wide_nets.py").write_text("from edgesdk_testkit.nets_to_compress import residual\n")
    (tmp_path / "wide.yaml").write_text(CARD)
    save_file(residual(width=40).state_dict(), tmp_path / "wide.safetensors")
    drawn = np.random.default_rng(0)
    for name in "abcd":
        (tmp_path / "test" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "test" / name / "0.png"), drawn.integers(0, 255, (16, 16, 3), dtype=np.uint8))
    return tmp_path


def test_a_model_is_pruned_to_a_measured_time(site: Path) -> None:
    """All that `compress` does before the gate, which a model that has learnt nothing cannot pass."""
    passes = [{"pass": "prune", "latency": 0.5, "runtime": "onnxruntime"}]
    recipe = recipe_of(passes, data={"evaluate": "test"}, sensitivity=False)
    source = resolve_source(site / "wide.yaml")
    lines: list[str] = []
    request = Request(source.path, None, recipe, site, "rpi5", site / "out", None, site / "page.html", site / "passes")
    pictures = Pictures(site, site / "passes")
    course = prepare(request, source, start := subject_of(source), pictures, lines.append, gated=False).course
    made = course.run()
    budget = course.reports[0].record["budget"]
    assert budget["unit"] == "ms on onnxruntime"
    assert 0 < budget["after"] <= 0.5 * budget["before"]
    measured = [line for line in lines if line.startswith("measured: ")]
    # The whole, the least, and both again by turns.
    assert len(measured) >= 4
    assert all(line.endswith("ms on onnxruntime in fp32") for line in measured)
    assert total_macs(made) < 0.5 * total_macs(start)


def test_what_zeros_bring_is_measured_where_a_runtime_is_there_in_the_artifacts_own_precision(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.412, 0.405, 0.404, 0.403))
    # How long it takes is the other test's; here it is what is said of the turns.
    monkeypatch.setattr(timing, "measure", lambda *_: SimpleNamespace(latency=SimpleNamespace(p50=next(times))))
    monkeypatch.setattr(timing, "_TARGETS", {"onnxruntime": "generic-onnx", "litert": "no-such-target"})
    lines: list[str] = []
    card = resolve_source(site / "wide.yaml").card_file
    measuring = timing_for(card, "generic-onnx", "mixed", site / "test", lines.append)
    bench = cast("Workbench", SimpleNamespace(brought=measuring.brought))
    done = sparsify_pass(Sparsify.model_validate({"pass": "sparsify", "amount": 0.9}), subject("residual"), bench)
    *measured, last = lines
    assert [line.partition(" on ")[2] for line in measured] == ["onnxruntime in int8"] * 4
    assert last.startswith("not measured on litert: ")
    brings = done.record["brings"]
    figures = brings["onnxruntime"]
    assert figures["ms"] == {"before": [0.412, 0.404], "after": [0.405, 0.403]}
    assert figures["time"] == "no difference beyond its turns"
    assert figures["unpacked_bytes"]["after"] == pytest.approx(figures["unpacked_bytes"]["before"], rel=0.05)
    assert figures["deflated_bytes"]["after"] < 0.8 * figures["deflated_bytes"]["before"]
    assert brings["litert"].startswith("not measured here; as a rule no time")
    page = Page("what it did")
    _brings(page, brings)
    assert "0.412 / 0.404 → 0.405 / 0.403" in page.html()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((0.4, 0.41), (0.2, 0.39), "faster"),
        ((0.4, 0.41), (0.42, 0.5), "slower"),
        ((0.4, 0.42), (0.3, 0.41), "no difference beyond its turns"),
    ],
    ids=["faster", "slower", "neither"],
)
def test_only_what_no_turn_contradicts_is_told(before: tuple[float, ...], after: tuple[float, ...], told: str) -> None:
    assert _told(before, after) == told
