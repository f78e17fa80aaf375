"""`edgesdk verify --emulate`: the board's own runtimes on its own instructions, on models of the samples.

What comes out are the board's own numbers; how long it takes says nothing about the board.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk.emulate.board import BOARDS
from edgesdk.emulate.root import EmulatedBoard, set_up
from edgesdk.emulate.verify import verify_on_board
from edgesdk.evaluate.answers import paths_of
from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.evaluate import evaluate
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.decode.postprocess import judged_with

pytestmark = [pytest.mark.long, pytest.mark.system, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """A sample model.

    Attributes:
        targets: one for each runtime that is tried.
        pictures: how many of the test split are answered.
        metric, off: the figure, and how far the board's may be from x86's: as much as one picture of a classifier counts; as
            much as average precision moves where two detections change places.
    """

    name: str
    targets: tuple[str, ...]
    precisions: tuple[str, ...]
    pictures: int
    metric: str
    off: float


CLASSIFIER = Case("classifier", ("rpi5", "x86-cpu", "generic-onnx"), ("fp32", "int8"), 40, "top1", 1 / 40)
# A detector's golden pictures alone take half a minute for each runtime.
DETECTOR = Case("detector", ("rpi5",), ("fp32",), 2, "ap50", 0.05)

# Register-only instructions of Armv8.2 (dot product), which a Cortex-A76 has and a Cortex-A53 has not; then `ret`.
DOT_PRODUCT = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write((0x6E809400).to_bytes(4, "little") + (0xD65F03C0).to_bytes(4, "little"))
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""


@pytest.fixture(scope="module")
def boards(needs_program: Callable[[str, str], str]) -> Callable[[str], EmulatedBoard]:
    """Set a board up in the cache that all runs of the tests share."""
    needs_program("qemu-aarch64-static", "qemu-user-static")
    needs_program("apt-get", "apt")
    return lambda name: set_up(BOARDS[name], say=print)


def rendered(name: str, folder: Path, *options: str) -> Path:
    script = ROOT / "examples/digits/render_eval.py"
    subprocess.run([sys.executable, script, name, folder, *options], check=True)
    return folder


def converted(case: Case, folder: Path) -> Path:
    """Return a bundle of a sample model with a variant for each target and precision; `data` beside it is labelled."""
    from edgesdk_converters.convert import convert

    data = rendered(case.name, folder / "data", "--count", str(case.pictures))
    typical = None
    if "int8" in case.precisions:
        typical = rendered(case.name, folder / "typical", "--count", "64", "--split", "train", "--seed", "5")
    card = ROOT / f"examples/digits/{case.name}.yaml"
    return convert(card, case.targets, precision=case.precisions, output=folder, data=data, calib_data=typical).path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(CLASSIFIER, tmp_path_factory.mktemp("classifier"))


def verified(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()  # what setting the board up said
    code = run(["verify", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def check_on_a_cortex_a76(case: Case, path: Path, board: EmulatedBoard, capsys: pytest.CaptureFixture[str]) -> None:
    """Compare all variants' golden answers and figures on the board with those of this machine."""
    with open_bundle(path) as opened:
        manifest = opened.manifest
    dataset = open_dataset(path.parent / "data", task=manifest.task, labels=manifest.labels)
    found = verify_on_board(
        board,
        path,
        [variant.id for variant in manifest.variants],
        task=manifest.task,
        labels=manifest.labels,
        pictures=[picture for picture in paths_of(dataset) if isinstance(picture, Path)],
        postprocess=judged_with(manifest.task),
    )
    code, here = verified(capsys, path, "--data", path.parent / "data")
    assert code == 0
    x86 = {one["variant"]: one["metrics"][case.metric]["value"] for one in here["variants"]}
    assert {answers.variant for answers in found} == set(x86)
    for answers in found:
        assert answers.problem is None, answers.problem
        assert answers.golden is not None
        assert answers.golden["verdict"] == "pass", answers.golden["why"]
        results = iter(answers.results)
        card = evaluate(lambda _image, results=results: next(results), dataset)  # type: ignore[misc]
        assert card.metrics[case.metric].value == pytest.approx(x86[answers.variant], abs=case.off)
        assert card.metrics[case.metric].value > 0.8


def test_a_classifier_gives_the_golden_answers_and_x86s_metrics_by_three_runtimes(
    boards: Callable[[str], EmulatedBoard], classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_bundle(classifier) as opened:
        made = {(variant.runtime.value, variant.precision.value) for variant in opened.manifest.variants}
    assert made == set(itertools.product(("litert", "openvino", "onnxruntime"), CLASSIFIER.precisions))
    check_on_a_cortex_a76(CLASSIFIER, classifier, boards("rpi5"), capsys)


def test_a_detector_gives_the_golden_answers_and_x86s_metrics_by_the_boards_own_runtime(
    boards: Callable[[str], EmulatedBoard], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = converted(DETECTOR, tmp_path)
    with open_bundle(path) as opened:
        assert [variant.runtime.value for variant in opened.manifest.variants] == ["litert"]
    check_on_a_cortex_a76(DETECTOR, path, boards("rpi5"), capsys)


def wrong(path: Path, folder: Path) -> Path:
    """Write the bundle anew with another resize than the one it was proven with."""
    with open_bundle(path) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        manifest = opened.manifest.model_dump(mode="json", by_alias=True)
    manifest["preprocess"]["interpolation"] = "nearest"
    write_bundle(folder / "wrong.edgebundle", Manifest.model_validate(manifest), files)
    return folder / "wrong.edgebundle"


def test_the_command_reports_a_wrong_bundle_on_the_board(
    boards: Callable[[str], EmulatedBoard],
    classifier: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    boards("rpi5")
    code, found = verified(capsys, wrong(classifier, tmp_path), "--emulate", "rpi5")
    assert (code, found["verdict"]) == (3, "fail")
    # Only the board's own variant, unless another is asked for.
    assert [one["target"] for one in found["variants"]] == ["rpi5", "rpi5"]
    for one in found["variants"]:
        assert (one["status"], one["golden"]["diverged"]) == ("emulated", "preprocess")


def test_an_instruction_that_the_older_core_has_not_is_reported_as_that(
    boards: Callable[[str], EmulatedBoard], classifier: Path, tmp_path: Path
) -> None:
    """A runtime that begins with a dot product: fine on a Pi 5, an illegal instruction on a Zero 2 W."""
    site = tmp_path / "site"
    site.mkdir()
    newer = boards("rpi5")
    for entry in newer.site.iterdir():
        if entry.name != "onnxruntime":
            (site / entry.name).symlink_to(entry)
    (site / "onnxruntime").mkdir()
    (site / "onnxruntime/__init__.py").write_text(f"{DOT_PRODUCT}\nraise ImportError('reached')\n", encoding="utf-8")
    variant = "generic-onnx-onnxruntime-fp32"
    problems = {}
    for board in (newer, boards("rpi-zero2w")):
        one = EmulatedBoard(board.board, board.python, site)
        (answers,) = verify_on_board(one, classifier, [variant], task="classify", labels=())
        problems[board.board.target] = answers.problem or ""
    assert "llegal instruction" in problems["rpi-zero2w"], problems
    assert "llegal instruction" not in problems["rpi5"], problems
