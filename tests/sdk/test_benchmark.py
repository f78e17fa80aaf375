"""Variants measured in processes of their own: true figures, and whatever goes wrong stays there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from edgesdk.benchmark.host import host_facts
from edgesdk.benchmark.live_child import ChildFailed, LiveChild
from edgesdk.benchmark.measure import Plan, measure, measure_all, status_here
from edgesdk.benchmark.pictures import golden_picture
from edgesdk.benchmark.runnable import runnable
from edgesdk.benchmark.statistics import is_steady, latency, ratio
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.cli.benchmark import benchmark
from edgesdk_targets.bundle.bundle import Bundle, open_bundle, write_bundle
from edgesdk_targets.errors import WrongTarget
from edgesdk_targets.target import Runtime
from edgesdk_testkit.benchmark_subjects import subject
from edgesdk_testkit.tiny_bundles import USUAL, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, STREAM, WIDE

QUICK = Plan(seconds=0.05)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("wide") / "wide.edgebundle", WIDE)


@pytest.fixture(scope="module")
def rows(wide: Path) -> list[dict[str, Any]]:
    with open_bundle(wide) as opened:
        found = runnable(opened.manifest)
        measured = measure_all(opened, found.variants, Plan(seconds=0.1), host_facts(), lambda _line: None)
    return [row.to_json() for row in measured]


class TestFigures:
    def test_percentiles_are_in_milliseconds(self) -> None:
        found = latency([i / 1000 for i in range(101)])
        assert (found.p50, found.p95, found.p99, found.n) == pytest.approx((50, 95, 99, 101))

    def test_steady_is_within_a_twentieth(self) -> None:
        assert is_steady([1.0, 1.0, 9.0], [1.04, 1.04, 1.04])
        assert not is_steady([1.0, 1.0, 1.0], [1.1, 1.1, 1.1])

    def test_a_ratio_is_taken_round_by_round(self) -> None:
        # The machine was three times slower in the second round: for both.
        found = ratio([2.0, 6.0, 2.2], [1.0, 3.0, 1.0])
        assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.2))
        assert found.slower
        assert not found.faster

    def test_rounds_on_both_sides_are_no_difference(self) -> None:
        found = ratio([1.0, 1.1, 0.9], [1.0, 1.0, 1.0])
        assert not found.slower
        assert not found.faster


class TestEveryRuntime:
    def test_each_variant_has_all_figures(self, rows: list[dict[str, Any]]) -> None:
        assert {row["runtime"] for row in rows} == {"openvino", "litert", "onnxruntime"}
        for row in rows:
            assert row["failure"] is None, row
            assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
            assert row["first_ms"] > 0
            assert row["load_ms"] > 0
            assert row["throughput_fps"] > 0
            assert row["rss_bytes"] > row["rss_before_bytes"] > 0
            assert set(row["stages_ms"]) == {"preprocess", "decode"}
            assert row["picture"] == [480, 640]

    def test_the_runtime_tells_what_it_computes_in(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            assert row["effective_precision"] == "f32"
            assert row["nodes"]["multiplying"] == {"f32": 2}
            assert row["nodes"]["fell_back_count"] == 0

    def test_only_a_variant_for_this_machine_is_measured(self, rows: list[dict[str, Any]]) -> None:
        host = host_facts()
        if host.arch != "x86_64":
            pytest.skip("written for an x86 workstation")
        assert {row["target"]: row["status"] for row in rows} == {
            "x86-cpu": "measured",
            "generic-onnx": "measured",
            "rpi5": "simulated",
        }

    def test_another_runtime_than_the_variants_own_is_a_simulation(self, wide: Path) -> None:
        with open_bundle(wide) as opened:
            variant = next(v for v in opened.manifest.variants if v.target == "generic-onnx")
        assert status_here(variant, Runtime.ONNXRUNTIME, host_facts()) == "measured"
        assert status_here(variant, Runtime.TENSORRT, host_facts()) == "simulated"

    @pytest.mark.parametrize("runtime", [Runtime.OPENVINO, Runtime.LITERT, Runtime.ONNXRUNTIME])
    def test_lanes_run_side_by_side_with_one_thread_each(self, runtime: Runtime, wide: Path) -> None:
        with open_bundle(wide) as opened:
            variant = next(v for v in opened.manifest.variants if v.runtime is runtime)
            child = LiveChild(bundle_subject(opened, variant))
        with child:
            child.ask("load", within_s=60, threads=1, lanes=2)
            measured = child.ask("measure", within_s=60, seconds=0.05)
            threads = len(list(Path(f"/proc/{child.pid}/task").iterdir()))
        assert measured["latency"]["n"] >= 20  # ten at least in each
        assert threads < 20  # and no pool of many threads for each

    @pytest.mark.parametrize(
        ("runtime", "threads"),
        [(Runtime.OPENVINO, 1), (Runtime.LITERT, 1), (Runtime.ONNXRUNTIME, 1), (Runtime.ONNXRUNTIME, 2)],
    )
    def test_as_many_threads_work_as_were_asked_for(self, runtime: Runtime, threads: int, wide: Path) -> None:
        with open_bundle(wide) as opened:
            variant = next(v for v in opened.manifest.variants if v.runtime is runtime)
            child = LiveChild(bundle_subject(opened, variant))
        with child:
            child.ask("load", within_s=60, threads=threads, lanes=1)
            before = _ticks(child.pid)
            child.ask("measure", within_s=60, seconds=0.4)
            used = {thread: ticks - before.get(thread, 0) for thread, ticks in _ticks(child.pid).items()}
        busiest = max(used.values()) / max(1, sum(used.values()))
        # The runtimes' own housekeeping takes a little; a second thread that works takes about half.
        assert (busiest > 0.7) == (threads == 1), used

    def test_recurrent_models_can_be_timed(self, tmp_path: Path) -> None:
        path = write_tiny_bundle(tmp_path / "b.edgebundle", STREAM, USUAL, task="classify")
        with open_bundle(path) as opened:
            found = measure(bundle_subject(opened, opened.manifest.variants[2]), QUICK)
        assert found.latency.n >= 10
        assert "decode" in found.stages_ms

    def test_the_bundles_own_picture_is_taken(self, tmp_path: Path) -> None:
        import cv2

        encoded = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
        extra = {"golden/00.png": encoded, "golden/01.png": b"another", "golden/golden.json": b"{}"}
        path = write_tiny_bundle(tmp_path / "b.edgebundle", CNN, extra=extra)
        with open_bundle(path) as opened:
            assert set(extra) <= set(opened.manifest.files)
            assert golden_picture(opened) == encoded


class TestHonestMeasuring:
    def test_a_known_time_is_found(self) -> None:
        found = measure(subject("Spinner", ms=3.0), QUICK)
        assert found.latency.p50 >= 3.0
        assert found.latency.n >= 10
        # One at a time: the rate is that of the mean.
        assert found.throughput_fps == pytest.approx(1000 / found.latency.mean, rel=0.01)

    def test_the_memory_is_the_childs_own(self) -> None:
        """Also where this process has far more: a peak that begins with the parent's would show it."""
        ballast = np.ones(400_000_000, np.uint8)
        light, heavy = (measure(subject("Hoarder", f"h{size}", size=size), QUICK) for size in (1, 150_000_000))
        assert len(ballast)
        assert light.rss_bytes < 200_000_000
        assert 140_000_000 < heavy.rss_bytes - light.rss_bytes < 170_000_000

    def test_threads_and_lanes_follow_the_hint(self) -> None:
        throughput, quick = Plan("throughput", threads=3), Plan("latency", threads=3)
        assert (throughput.lanes, throughput.threads_each) == (3, 1)
        assert (quick.lanes, quick.threads_each) == (1, 3)


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("bad", "kind", "says"),
        [
            (subject("Crasher", runs=0), "crashed", "SIGSEGV"),
            (subject("Crasher", runs=4, signal="SIGILL"), "crashed", "running the model (SIGILL)"),
            (subject("Crasher", runs=1, signal="SIGKILL"), "killed", "memory"),
            (subject("Leaver", code=137), "crashed", "code 137 while loading the model: no licence for this device"),
            (subject("Refuser"), "refused", "bad file"),
            (subject("Stumbler"), "refused", "KeyError: 'tensor 7'"),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_it_is_named(self, bad: Any, kind: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with pytest.raises(ChildFailed) as caught:
            measure(bad, QUICK)
        assert caught.value.kind == kind
        assert says in caught.value.message
        assert list(tmp_path.iterdir()) == []

    def test_a_hang_is_ended(self) -> None:
        child = LiveChild(subject("Hanger"))
        with child, pytest.raises(ChildFailed, match="no answer within 1 s") as caught:
            child.ask("load", within_s=1.0, threads=1, lanes=1)
        assert caught.value.kind == "hung"
        assert not Path(f"/proc/{child.pid}").exists()

    def test_what_was_measured_is_kept_if_the_nodes_cannot_be_read(self) -> None:
        found = measure(subject("Liar"), QUICK)
        assert found.coverage is None
        assert found.latency.n >= 10

    def test_the_others_go_on(self, wide: Path) -> None:
        with open_bundle(wide) as opened:
            broken = _with_broken_file(opened, Runtime.OPENVINO)
            found = runnable(broken.manifest)
            rows = measure_all(broken, found.variants, QUICK, host_facts(), lambda _line: None)
        assert {row.variant.runtime.value: row.failure for row in rows} == {
            "openvino": "refused",
            "onnxruntime": None,
            "litert": None,
        }
        bad = next(row for row in rows if row.failure)
        assert bad.status == "not run"
        assert "OpenVINO could not load" in bad.notes[0]

    def test_a_child_does_not_outlive_its_parent(self, tmp_path: Path) -> None:
        script = (
            "import os, sys\n"
            "from edgesdk.benchmark.live_child import LiveChild\n"
            "from edgesdk_testkit.benchmark_subjects import subject\n"
            "child = LiveChild(subject('Spinner'))\n"
            "child.ask('load', within_s=60, threads=1, lanes=1)\n"
            "print(child.pid, flush=True)\n"
            "os._exit(0)\n"
        )
        path = os.pathsep.join(sys.path)
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        )
        gone = subprocess.run(
            ["timeout", "20", "tail", f"--pid={int(done.stdout)}", "-f", "/dev/null"], check=False, capture_output=True
        )
        assert gone.returncode == 0
        assert list(tmp_path.iterdir()) == []


class TestCommand:
    def test_json_has_the_stable_keys(self, wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
        benchmark(wide, duration=0.1, threads=1, target="generic-onnx", json=True)
        document = json.loads(capsys.readouterr().out)
        assert {"variant", "threads", "latency_ms", "throughput_fps", "rss_bytes", "effective_precision"} <= set(
            document
        )
        assert set(document["latency_ms"]) >= {"p50", "p95", "p99"}
        assert document["threads"] == 1
        assert document["host"]["cpu"]
        assert [row["variant"] for row in document["variants"]] == ["generic-onnx-onnxruntime-fp32"]

    def test_nothing_that_ran_is_an_exit_code_of_its_own(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        broken = write_tiny_bundle(tmp_path / "b.edgebundle", CNN, (("rpi5", Runtime.LITERT),))
        with open_bundle(broken) as opened:
            manifest, files = opened.manifest, dict.fromkeys(opened.manifest.files, b"no model")
        write_bundle(broken, manifest, files)
        with pytest.raises(typer.Exit) as ended:
            benchmark(broken, duration=0.05, json=True)
        assert ended.value.exit_code == 4
        document = json.loads(capsys.readouterr().out)
        assert document["failure"] == "refused"
        assert document["status"] == "not run"

    def test_a_target_that_is_not_there_is_named(self, wide: Path) -> None:
        with pytest.raises(WrongTarget, match="jetson-orin-nano"):
            benchmark(wide, target="jetson-orin-nano")

    def test_a_variant_whose_runtime_is_missing_is_shown(
        self, wide: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from edgesdk_targets import variant_choice

        real = variant_choice.choose_variants
        monkeypatch.setattr(
            "edgesdk.benchmark.runnable.choose_variants",
            lambda manifest, **asked: real(manifest, **asked, installed=lambda r: r is Runtime.ONNXRUNTIME),
        )
        benchmark(wide, duration=0.05, json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["variant"] == "generic-onnx-onnxruntime-fp32"
        others = {row["variant"]: row for row in document["variants"][1:]}
        assert others["rpi5-litert-fp32"]["failure"] == "missing"
        assert "not installed" in others["rpi5-litert-fp32"]["notes"][0]


def _ticks(pid: int) -> dict[str, int]:
    """Return the processor's time of each thread of a process, in hundredths of a second."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text("ascii").rpartition(")")[2].split()
        found[task.name] = int(fields[11]) + int(fields[12])
    return found


def _with_broken_file(opened: Bundle, runtime: Runtime) -> Bundle:
    """Return the bundle with one runtime's model file replaced by another file of the bundle."""
    import dataclasses

    wrong = next(v for v in opened.manifest.variants if v.runtime is not runtime).files["model"]
    variants = tuple(
        v.model_copy(update={"files": {**v.files, "model": wrong}}) if v.runtime is runtime else v
        for v in opened.manifest.variants
    )
    return dataclasses.replace(opened, manifest=opened.manifest.model_copy(update={"variants": variants}))
