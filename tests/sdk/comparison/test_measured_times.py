"""Times of the device in the place of this host's: whose they are is told, and they decide as this host's would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgesdk.benchmark.contest import Bounds, Entry, front
from edgesdk.benchmark.contest_choice import pick
from edgesdk.cli.app import run
from edgesdk.comparison.device_times import device_times
from edgesdk.comparison.parts import VariantPart
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.together.spec import Member, Rule, Together
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.measured_elsewhere import ONNX, RPI5, Document, OnAPi, compared
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN


def test_the_devices_time_takes_the_place_of_this_hosts(
    small_bundle: Path, on_a_pi: OnAPi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    data = write_labelled(tmp_path / "data", 5)
    words = ["compare", small_bundle, "--measured", on_a_pi(), "--data", data, "--rounds", 1, "--slice", 0.01]
    assert run([*map(str, words), "--report", str(page)]) == 0
    shown = capsys.readouterr()
    row = next(line for line in shown.out.splitlines() if RPI5 in line)
    assert re.search(r"\b77\b.* 123 MB .* measured +rpi5$", row.rstrip())
    assert next(line for line in shown.out.splitlines() if ONNX in line).rstrip().endswith("this host")
    assert f"Take {RPI5}: the only one that fits; timed on rpi5." in shown.out
    assert f"not {ONNX}: it was timed on this host, and others on rpi5" in shown.err
    assert re.search(rf"measured: pi\.json: {RPI5} on Cortex-A76, .* it is hot", shown.err)
    assert "timed on" in page.read_text("utf-8")
    assert "Not so pi.json" in page.read_text("utf-8")
    # Both are asked about the pictures here: what they answer does not hang on where they are timed.
    found = compared(small_bundle, measured=[on_a_pi()], data=data).to_json()
    entries: Any = found["entries"]
    assert {one["variant"]: (one["device"], one["metric"]["value"]) for one in entries} == {
        ONNX: (None, 1.0),
        RPI5: ("rpi5", 1.0),
    }
    assert entries[0]["ms"] < 77 == entries[1]["ms"]


def test_limits_are_judged_by_the_devices_time(small_bundle: Path, on_a_pi: OnAPi) -> None:
    found = compared(small_bundle, target="rpi5", measured=[on_a_pi()], bounds=Bounds(ms=50.0))
    assert found.choice.name is None
    assert found.entries[0].misses == ("77 ms > 50 ms (--max-ms)",)
    assert "None ran on rpi5 within the limits" in found.choice.why


def test_a_cascade_costs_its_mean(small_bundle: Path, on_a_pi: OnAPi) -> None:
    def skewed(document: Document) -> None:
        document["variants"][0]["latency_ms"] |= {"p50": 5.0, "mean": 9.0}

    with open_bundle(small_bundle) as opened:
        variant = next(one for one in opened.manifest.variants if one.id == RPI5)
        shape: Any = {name: getattr(variant, name) for name in ("id", "precision", "inputs", "outputs")}
        member = Member(name="m", version="1.0.0", digest="sha256:0", mean=(0.0,), std=(1.0,), **shape)
        costs: tuple[tuple[Rule, float], ...] = (("cascade", 9.0), ("average", 5.0))
        for rule, ms in costs:
            together = Together(rule=rule, members=(member, member), threshold=0.5)
            part = VariantPart(opened, variant.model_copy(update={"together": together}), Runtime.LITERT)
            assert device_times([on_a_pi(skewed)], {"one": part}).times["one"].ms == ms


def test_an_int8_that_is_slower_on_the_device_is_not_taken_unless_its_time_was_not_steady(
    on_a_pi: OnAPi, tmp_path: Path
) -> None:
    floats, files = tiny_variant(CNN, "rpi5", Runtime.LITERT)
    int8 = floats.model_copy(update={"id": "rpi5-litert-int8", "precision": Precision.INT8})
    path = tmp_path / "both.edgebundle"
    write_bundle(path, tiny_manifest(CNN, [floats, int8]), files)
    with open_bundle(path) as opened:
        digest = opened.digest

    def measured(ms: float, *, steady: bool = True) -> Path:
        def change(document: Document) -> None:
            row = document["variants"][0]
            other = {**row, "variant": int8.id, "latency_ms": {**row["latency_ms"], "p50": ms}}
            notes = [] if steady else ["not steady\x1b after 5.0 s", "x" * 10_000]
            document["variants"] = [row, {**other, "warm_up": {"steady": steady}, "notes": notes}]
            document["digest"] = digest

        return on_a_pi(change)

    def slower(file: Path) -> list[str]:
        return [entry.name for entry in compared(path, measured=[file]).entries if entry.slower_than]

    assert slower(measured(100.0)) == [int8.id]
    assert slower(measured(80.0)) == []  # the float took 77: that much two runs may differ
    assert slower(measured(100.0, steady=False)) == []
    (about,) = compared(path, measured=[measured(100.0, steady=False)]).devices
    assert f"{floats.id}, {int8.id} (not steady) on Cortex-A76" in about
    assert f"; {int8.id}: not steady  after 5.0 s; " in about
    assert len(about) < 1000


def test_what_does_not_run_here_is_taken_by_its_time_but_not_where_figures_decide(
    on_a_pi: OnAPi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_labelled(tmp_path / "data", 5)
    variants = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
    broken = {f"models/{RPI5}/model.tflite": b"no model"}
    path = write_tiny_bundle(tmp_path / "broken.edgebundle", CNN, variants, broken)
    with open_bundle(path) as opened:
        digest = opened.digest
    measured = [on_a_pi(lambda document: document.update(digest=digest))]
    assert compared(path, measured=measured).choice.name == RPI5
    found = compared(path, measured=measured, data=data)
    assert found.choice.name is None
    assert any(f"{RPI5}: its accuracy is not known: " in line for line in found.choice.passed_over)
    # With --data and nothing that could be asked, it is no choice by speed alone.
    words = ["compare", f"{path}:{RPI5}", "--measured", str(measured[0]), "--data", str(data)]
    assert run(words) == 4
    refused = capsys.readouterr().err
    assert "None of these runs here" in refused
    assert f"\n{RPI5}: " in refused
    assert "leave --data out" in refused
    assert run(words[:-2]) == 0


def test_times_of_two_machines_are_on_no_common_front() -> None:
    here = Entry("here", "m", None, 10, "measured", ms=1.0)
    there = Entry("there", "m", None, 20, "measured", ms=9.0, device="rpi5")
    assert front([here, there]) == ["there"]
    assert front([here]) == ["here"]
    assert pick([here, there], max_drop=0.01).name == "there"
