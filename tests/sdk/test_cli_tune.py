"""`edgesdk tune` from the command line: table, document, page and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgesdk.cli import app
from edgesdk.tune.bars import bars
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tuning.setting import Hint, Measured, Setting, Slice
from edgesdk_targets.tuning.tuned import Tuning
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

for package in ("onnxruntime", "matplotlib", "jinja2"):
    pytest.importorskip(package)

ONNX = "generic-onnx-onnxruntime-fp32"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return str(write_tiny_bundle(tmp_path / "cnn.edgebundle", variants=(("generic-onnx", Runtime.ONNXRUNTIME),)))


def test_a_table_a_page_and_the_kept_answer(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "tuning.html"
    assert app.run(["tune", bundle, "--hint", "throughput", "--seconds", "0.5", "--report", str(page)]) == 0
    said = capsys.readouterr()
    assert ONNX in said.out
    assert "of processor time each" in said.out
    html = page.read_text()
    assert "<svg" in html
    assert "pictures a second" in html
    assert "tuned for throughput" in html
    assert app.run(["tune", bundle, "--hint", "throughput", "--seconds", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kept"] is True
    # On a slow machine there may be time for one setting only, and then there is nothing to compare.
    assert ("pictures a second, longer is better" in said.out) is (len(document["settings"]) > 1)
    assert document["chosen"]["variant"] == ONNX
    assert document["chosen"] == document["settings"][0]["setting"]
    told = {
        "hint",
        "chosen",
        "why",
        "notes",
        "settings",
        "refused",
        "skipped",
        "budget_s",
        "seconds",
        "disturbed",
        "kept",
    }
    assert set(document) == told | {"bundle", "digest", "host"}
    page_of_docs = (Path(__file__).resolve().parents[2] / "docs/tuning.md").read_text()
    assert all(f"`{name}`" in page_of_docs for name in document)
    assert document["digest"].startswith("sha256:")


def _measured(threads: int, ms: float, fps: float, cpu_ms: float) -> Measured:
    setting = Setting(ONNX, Runtime.ONNXRUNTIME, Precision.FP32, threads, 1)
    return Measured(setting, 0.0, 1000, (Slice(ms, ms, fps, cpu_ms),))


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_gets_as_many_columns_as_have_room(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from edgesdk.cli import tune

    monkeypatch.setattr(tune, "console", lambda: Console(width=columns))
    tune._print(Tuning(Hint.LATENCY, measured=(_measured(2, 1.0, 900.0, 2.0), _measured(1, 4.0, 225.0, 1.0))))
    shown = capsys.readouterr().out
    assert (max(map(len, shown.splitlines())) <= columns, shown.count(ONNX)) == (True, 4)
    assert ("memory" in shown) is (columns == 200)


def test_a_bar_shows_what_the_hint_looks_at() -> None:
    measured = (_measured(2, 1.0, 900.0, 2.0), _measured(1, 4.0, 225.0, 1.0))

    def shown(hint: Hint) -> list[tuple[int, str]]:
        lines = bars(Tuning(hint, measured=measured, why=""), columns=200, mark="#")
        return [(line.count("#"), line.split()[-1]) for line in lines if "#" in line]

    assert shown(Hint.LATENCY) == [(8, "1"), (32, "4")]
    assert shown(Hint.THROUGHPUT) == [(32, "900"), (8, "225")]
    assert shown(Hint.AGE) == [(8, "1"), (32, "4"), (32, "2"), (16, "1")]
    # They are shorter where the terminal is narrow.
    narrow = bars(Tuning(Hint.LATENCY, measured=measured, why=""), columns=70, mark="#")
    assert max(map(len, narrow)) <= 70
    assert [line.count("#") for line in narrow if "#" in line] == [5, 19]
    # Nothing to compare.
    assert bars(Tuning(Hint.AGE, measured=measured[:1], why="")) == []


def test_what_is_given_is_kept(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--hint", "latency", "--threads", "1", "--streams", "2", "--seconds", "0.3", "--json"]
    assert app.run(["tune", bundle, *arguments]) == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert (chosen["threads"], chosen["streams"]) == (1, 2)


def test_nothing_to_measure_has_a_code_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_bundle(tmp_path / "gpu.edgebundle", variants=(("jetson-orin-nano", Runtime.TENSORRT),))
    assert app.run(["tune", str(path)]) == 4
    assert "not tuned" in capsys.readouterr().out


def test_wrong_arguments(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["tune", bundle, "--hint", "speed"]) == 2
    assert app.run(["tune", str(tmp_path / "absent.edgebundle")]) == 1
    assert app.run(["tune", bundle, "--variant", "absent"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_more_threads_than_cores(
    bundle: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    assert app.run(["tune", bundle, "--threads", "999"]) == 2
    assert "999 threads on 2 cores" in capsys.readouterr().err
    for threads, warned in (("3", True), ("2", False)):
        arguments = ["--hint", "latency", "--threads", threads, "--streams", "1", "--seconds", "0.2"]
        assert app.run(["tune", bundle, *arguments]) == 0
        assert ("3 threads on 2 cores" in capsys.readouterr().err) is warned
