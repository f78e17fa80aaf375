"""Tuning by a real child: it measures, leaves out what crashes or answers otherwise, and keeps its answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tuning import by_child
from edgesdk_targets.tuning import tune as module
from edgesdk_targets.tuning.grid import Given
from edgesdk_targets.tuning.setting import Hint
from edgesdk_targets.tuning.tune import tune, tuned_options, untuned_options
from edgesdk_targets.tuning.tune_options import TuneOptions
from edgesdk_targets.tuning.tuned import Tuning
from edgesdk_targets.window import WindowSpec
from edgesdk_testkit.fake_runtimes import openvino_package
from edgesdk_testkit.tiny_bundles import USUAL, tiny_manifest, tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CLIP, CLIP_FRAMES, CNN, STREAM

for package in ("onnxruntime", "openvino", "ai_edge_litert"):
    pytest.importorskip(package)

CORES = len(os.sched_getaffinity(0))
OPENVINO, ONNX = "x86-cpu-openvino-fp32", "generic-onnx-onnxruntime-fp32"
TWO = (("x86-cpu", Runtime.OPENVINO), ("generic-onnx", Runtime.ONNXRUNTIME))


@pytest.fixture
def how(tmp_path: Path) -> TuneOptions:
    return TuneOptions(budget_s=0.5, cache_dir=tmp_path / "cache")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the children that are started."""
    started: list[str] = []

    def start(name: str, *arguments: str, folder: Path) -> object:
        started.append(name)
        return original(name, *arguments, folder=folder)

    original = by_child.start_child
    monkeypatch.setattr(by_child, "start_child", start)
    return started


def test_every_runtime_is_measured_and_the_answer_kept(
    tmp_path: Path, how: TuneOptions, children: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=USUAL)) as bundle:
        found = tune(bundle, Hint.THROUGHPUT, replace(how, budget_s=4.0))
        assert {one.setting.runtime for one in found.measured} == {runtime for _, runtime in USUAL}
        assert found.refused == {}
        for one in found.measured:
            assert 0 < one.ms <= one.p95_ms
            assert one.fps > 0
            assert one.cpu_ms > one.prepare_ms > 0
        best = found.best
        assert best is not None
        assert best.setting.streams == CORES // best.setting.threads
        assert str(best.setting) in found.why
        again = tune(bundle, Hint.THROUGHPUT, how)
        assert again.kept
        assert again.best is not None
        assert again.best.setting == best.setting
        tuned = tuned_options(bundle, Hint.THROUGHPUT, how, options=SessionOptions(cache_dir=tmp_path))
        assert tuned.variant == best.setting.variant
        wanted = SessionOptions(best.setting.threads, best.setting.streams, best.setting.pin, cache_dir=tmp_path)
        assert tuned.options == wanted
        assert "measured before" in tuned.why
        assert len(children) == 1
        # Another hint, other decisions of the user's or fewer cores are another question; what is measured is the same.
        monkeypatch.setattr(module, "_measured", lambda *_: found)
        keys = len(list((tmp_path / "cache/tuning").iterdir()))
        tune(bundle, Hint.AGE, replace(how, variant=ONNX))
        tune(bundle, Hint.AGE, replace(how, variant=ONNX, given=Given(threads=1)))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
        tune(bundle, Hint.AGE, replace(how, variant=ONNX, given=Given(threads=1)))
        assert len(list((tmp_path / "cache/tuning").iterdir())) == keys + 3


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Tuning]:
    """A bundle, the answer that a real child gave for it as it is kept, and the answer itself."""
    folder = tmp_path_factory.mktemp("answer")
    path = write_tiny_bundle(folder / "cnn.edgebundle", variants=TWO[1:])
    with open_bundle(path) as bundle:
        found = tune(bundle, Hint.LATENCY, TuneOptions(budget_s=0.5, cache_dir=folder / "cache"))
    (kept,) = (folder / "cache/tuning").iterdir()
    return path, kept, found


class TestKept:
    """Which kept answers serve; what would be measured anew is known, and is not measured again here."""

    @pytest.fixture
    def is_kept(
        self, answer: tuple[Path, Path, Tuning], how: TuneOptions, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., bool]:
        path, kept, found = answer
        monkeypatch.setattr(module, "_measured", lambda *_: found)

        def ask(data: dict[str, Any], budget_s: float = 0.5) -> bool:
            own = tmp / kept.name
            own.write_text(json.dumps(data))
            with open_bundle(path) as bundle:
                return tune(bundle, Hint.LATENCY, replace(how, budget_s=budget_s)).kept

        assert how.cache_dir is not None
        tmp = how.cache_dir / "tuning"
        tmp.mkdir(parents=True)
        return ask

    @pytest.fixture
    def data(self, answer: tuple[Path, Path, Tuning]) -> dict[str, Any]:
        """The kept answer, with one turn a setting: as on a machine where nothing else ran."""
        data: dict[str, Any] = json.loads(answer[1].read_text())
        for one in data["tuning"]["settings"]:
            one["rounds"] = [{**one["rounds"][0], "others": 0.0}]
        data["tuning"]["skipped"] = []
        return data

    def test_a_whole_one_serves_any_request(self, data: dict[str, Any], is_kept: Callable[..., bool]) -> None:
        assert is_kept(data)
        assert is_kept(data, 8.0)

    def test_one_that_left_settings_out_serves_no_longer_request(
        self, data: dict[str, Any], is_kept: Callable[..., bool]
    ) -> None:
        data["tuning"]["skipped"] = [data["tuning"]["chosen"]]
        assert is_kept(data)
        assert not is_kept(data, 8.0)

    def test_a_disturbed_one_serves_for_a_day_and_no_longer_request(
        self, data: dict[str, Any], is_kept: Callable[..., bool]
    ) -> None:
        chosen = data["tuning"]["settings"][0]
        turn = chosen["rounds"][0]
        chosen["rounds"] = [turn, {**turn, "p50_ms": turn["p50_ms"] * 2}]
        data["tuning"]["settings"] = [chosen]
        assert is_kept(data)
        assert not is_kept(data, 8.0)
        assert not is_kept({**data, "at": data["at"] - 90_000})

    def test_one_beside_other_work_serves_for_a_day(self, data: dict[str, Any], is_kept: Callable[..., bool]) -> None:
        long_ago = {**data, "at": data["at"] - 90_000}
        assert is_kept(long_ago)
        data["tuning"]["settings"][0]["rounds"][0]["others"] = 1.0
        assert is_kept(data)
        assert not is_kept(long_ago)

    def test_a_damaged_one_does_not(self, data: dict[str, Any], is_kept: Callable[..., bool]) -> None:
        data["tuning"]["settings"][0]["rounds"] = []
        assert not is_kept(data)

    def test_one_without_its_budget_does_not(self, data: dict[str, Any], is_kept: Callable[..., bool]) -> None:
        del data["tuning"]["budget_s"]
        assert not is_kept(data)


@pytest.mark.parametrize(
    ("act", "phase", "said"), [("SIGSEGV", "run", "ended with -11"), ("hangs", "load", "within 2 s")]
)
def test_a_runtime_that_ends_the_child_is_left_out(
    tmp_path: Path, how: TuneOptions, monkeypatch: pytest.MonkeyPatch, act: str, phase: str, said: str
) -> None:
    # Where the child finds it first; this process has the real one.
    monkeypatch.syspath_prepend(openvino_package(tmp_path / "fake", act, phase))
    with open_bundle(write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=TWO)) as bundle:
        patience = 2.0 if act == "hangs" else 60.0
        found = tune(bundle, Hint.LATENCY, replace(how, patience_s=patience))
    assert said in found.refused[OPENVINO]
    assert {one.setting.variant for one in found.measured} == {ONNX}


def test_what_a_gate_refused_is_never_taken(tmp_path: Path, how: TuneOptions) -> None:
    """Negative control: without the verdict the same variant is taken."""
    for outcome, wanted in (("fail", {ONNX}), ("pass", {ONNX, OPENVINO})):
        variants, files = [], {}
        for target, runtime in TWO:
            variant, content = tiny_variant(CNN, target, runtime)
            accuracy = {"outcome": outcome, "reason": ""} if runtime is Runtime.OPENVINO else {}
            variants.append(variant.model_copy(update={"accuracy": accuracy}))
            files |= content
        path = tmp_path / f"{outcome}.edgebundle"
        write_bundle(path, tiny_manifest(CNN, variants), files)
        with open_bundle(path) as bundle:
            found = tune(bundle, Hint.LATENCY, how)
        looked_at = {one.setting.variant for one in found.measured} | {one.variant for one in found.skipped}
        assert looked_at == wanted
        assert ("gate failed" in found.refused.get(OPENVINO, "")) == (outcome == "fail")


def test_gpus_are_not_tuned(tmp_path: Path, how: TuneOptions, children: list[str]) -> None:
    path = write_tiny_bundle(tmp_path / "gpu.edgebundle", variants=(("jetson-orin-nano", Runtime.TENSORRT),))
    with open_bundle(path) as bundle:
        tuned = tuned_options(bundle, Hint.THROUGHPUT, how)
    assert tuned.variant is None
    assert "not tuned" in tuned.why
    assert children == []


def test_where_nothing_is_left_open_nothing_is_measured(tmp_path: Path, how: TuneOptions, children: list[str]) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=TWO)) as bundle:
        tuned = tuned_options(bundle, Hint.LATENCY, replace(how, variant=ONNX, given=Given(threads=1, streams=2)))
    assert tuned.variant == ONNX
    assert (tuned.options.threads, tuned.options.streams) == (1, 2)
    assert "everything was given" in tuned.why
    assert children == []


def test_a_model_with_memory_is_tuned_too(tmp_path: Path, how: TuneOptions) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "stream.edgebundle", STREAM, variants=TWO)) as bundle:
        found = tune(bundle, Hint.THROUGHPUT, how)
    assert {one.setting.streams for one in found.measured} == {1}


def test_a_model_that_takes_clips_is_tuned_too(tmp_path: Path, how: TuneOptions) -> None:
    window = WindowSpec(frames=CLIP_FRAMES, stride=2)
    path = write_tiny_bundle(tmp_path / "clip.edgebundle", CLIP, variants=TWO[1:], window=window)
    with open_bundle(path) as bundle:
        found = tune(bundle, Hint.THROUGHPUT, how)
    assert found.refused == {}
    assert {one.setting.streams for one in found.measured} == {1}
    assert all(one.prepare_ms > 0 for one in found.measured)


def test_a_bundle_that_vanished_is_not_tuned_and_nothing_is_raised(tmp_path: Path, how: TuneOptions) -> None:
    path = write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=TWO)
    with open_bundle(path) as bundle:
        path.unlink()
        tuned = tuned_options(bundle, Hint.AGE, how)
    assert tuned.variant is None
    assert "not tuned" in tuned.why
    assert tuned.options == SessionOptions(spin="never")


def test_what_is_usually_good() -> None:
    assert untuned_options(Hint.THROUGHPUT, Given()).streams == CORES
    assert untuned_options(Hint.THROUGHPUT, Given(threads=CORES)).streams == 1
    assert untuned_options(Hint.AGE, Given()) == SessionOptions(spin="never")
    assert untuned_options(Hint.AGE, Given(threads=2, streams=3)) == SessionOptions(2, 3, spin="never")


@pytest.mark.timeout(60)
def test_golden_answers_that_differ_here_refuse_the_variant(tmp_path: Path, how: TuneOptions) -> None:
    pytest.importorskip("torch")
    from edgesdk_converters.convert import convert

    card = Path(__file__).resolve().parents[2] / "examples/digits/classifier.yaml"
    made = convert(card, "generic-onnx", precision="fp32", output=tmp_path).path
    with open_bundle(made) as bundle:
        good = tune(bundle, Hint.LATENCY, how)
        assert good.refused == {}
        content = {name: bundle.read(name) for name in bundle.manifest.files}
        data = bundle.manifest.model_dump(mode="json", by_alias=True)
    assert good.best is not None
    only = good.best.setting.variant
    golden = json.loads(content["golden/golden.json"])
    golden["variants"][only]["results"][0]["classes"][0]["score"] = 0.9
    content["golden/golden.json"] = json.dumps(golden).encode()
    write_bundle(tmp_path / "wrong.edgebundle", Manifest.model_validate(data), content)
    with open_bundle(tmp_path / "wrong.edgebundle") as bundle:
        found = tune(bundle, Hint.LATENCY, how)
    assert found.best is None
    assert "golden answers differ here" in found.refused[only]
