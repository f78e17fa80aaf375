"""`edgesdk bundle diff A B`: everything that differs is said, nothing else is, and the exit code is diff's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import LABELS, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, STD

ONNX = [("generic-onnx", Runtime.ONNXRUNTIME)]


def bundle(path: Path, variants: list[tuple[str, Runtime]] | None = None, **changes: Any) -> Path:
    return write_tiny_bundle(path, CNN, ONNX if variants is None else variants, **changes)


def found(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[Any, Any]]:
    """Return the differences as JSON has them: section/name → both values."""
    assert run(["bundle", "diff", str(first), str(second), "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert document["same"] is False
    assert document["digests"]["first"] != document["digests"]["second"]
    return {f"{d['section']}/{d['name']}": (d["first"], d["second"]) for d in document["differences"]}


def test_the_same_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = bundle(tmp_path / "a.edgebundle"), bundle(tmp_path / "b.edgebundle")
    assert run(["bundle", "diff", str(a), str(b)]) == 0
    assert "The same: sha256:" in capsys.readouterr().out
    assert run(["bundle", "diff", str(a), str(b), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []


def test_a_bundle_and_the_folder_it_was_unpacked_to_are_the_same(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a.edgebundle")
    assert run(["bundle", "unpack", str(a), "-o", str(tmp_path / "folder")]) == 0
    assert run(["bundle", "diff", str(a), str(tmp_path / "folder")]) == 0


def test_fields_and_preprocessing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = Preprocess(color="rgb", size=(16, 16), mean=(MEAN,) * 3, std=(STD,) * 3, pad=0)
    a = bundle(tmp_path / "a.edgebundle")
    b = bundle(tmp_path / "b.edgebundle", version="1.1.0", preprocess=spec, license="MIT")
    assert found(a, b, capsys) == {
        "manifest/version": ("1.0.0", "1.1.0"),
        "manifest/license": (None, "MIT"),
        "preprocess/color": ("bgr", "rgb"),
        "preprocess/pad": (114, 0),
    }


def test_no_preprocessing_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = bundle(tmp_path / "a.edgebundle"), bundle(tmp_path / "b.edgebundle", preprocess=None)
    (name, (first, second)) = next(iter(found(a, b, capsys).items()))
    assert (name, first["color"], second) == ("preprocess/preprocess", "bgr", None)


def test_shifted_and_missing_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = bundle(tmp_path / "a.edgebundle")
    shifted = bundle(tmp_path / "b.edgebundle", labels=("background", *LABELS[:-1]))
    assert found(a, shifted, capsys) == {"labels/0": ("ant", "background")}
    fewer = bundle(tmp_path / "c.edgebundle", labels=())
    assert found(a, fewer, capsys) == {"labels/count": (5, 0)}


def test_variants_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = bundle(tmp_path / "a.edgebundle")
    b = bundle(tmp_path / "b.edgebundle", [*ONNX, ("rpi5", Runtime.LITERT)], extra={"notes.txt": b"new"})
    different = found(a, b, capsys)
    assert different["variants/rpi5-litert-fp32"] == (None, "litert, fp32, built only")
    assert different["files/notes.txt"][0] is None
    assert different["files/notes.txt"][1]["size"] == 3
    assert set(different) == {
        "variants/rpi5-litert-fp32",
        "files/notes.txt",
        "files/models/rpi5-litert-fp32/model.tflite",
    }


def test_an_artifact_with_another_content_and_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgesdk_targets.bundle.bundle import write_bundle
    from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant

    variant, files = tiny_variant(CNN, *ONNX[0])
    path = next(iter(files))

    def written(name: str, content: bytes, sqnr_db: float) -> Path:
        worst = {"name": "logits", "sqnr_db": sqnr_db}
        parity = {"passed": True, "worst": worst, "groups": [worst | {"max_abs": sqnr_db}]}
        changed = variant.model_copy(update={"parity": parity})
        write_bundle(tmp_path / name, tiny_manifest(CNN, [changed]), {path: content})
        return tmp_path / name

    a, b = written("a.edgebundle", files[path], 101.0), written("b.edgebundle", files[path] + b"\0", 99.0)
    different = found(a, b, capsys)
    name = "variants/generic-onnx-onnxruntime-fp32"
    assert set(different) == {
        f"{name}.files.model",
        f"{name}.size_bytes",
        f"{name}.parity.worst.sqnr_db",
        f"{name}.parity",
        f"files/{path}",
    }
    assert different[f"{name}.parity.worst.sqnr_db"] == (101.0, 99.0)
    first, second = different[f"files/{path}"]
    assert second["size"] == first["size"] + 1
    assert run(["bundle", "diff", str(a), str(b)]) == 1
    out = capsys.readouterr().out
    assert "sha256:" in out
    assert first["sha256"][:8] in out


def test_the_order_of_variants_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = [*ONNX, ("rpi5", Runtime.LITERT)]
    a, b = bundle(tmp_path / "a.edgebundle", two), bundle(tmp_path / "b.edgebundle", two[::-1])
    names = ["generic-onnx-onnxruntime-fp32", "rpi5-litert-fp32"]
    assert found(a, b, capsys) == {"variants/order": (names, names[::-1])}


def test_people_are_shown_words_and_no_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Preprocessing on one side only, a parity report with yes and no."""
    from edgesdk_targets.bundle.bundle import write_bundle
    from edgesdk_targets.target import Precision
    from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant

    variant, files = tiny_variant(CNN, *ONNX[0])
    made = {}
    for name, passed, changes in (("a", True, {}), ("b", False, {"preprocess": None})):
        precision = Precision.INT8 if passed else Precision.MIXED
        changed = variant.model_copy(update={"parity": {"passed": passed}, "precision": precision})
        made[name] = tmp_path / f"{name}.edgebundle"
        write_bundle(made[name], tiny_manifest(CNN, [changed], **changes), files)
    assert run(["bundle", "diff", str(made["a"]), str(made["b"])]) == 1
    shown = capsys.readouterr().out
    assert run(["bundle", "inspect", str(made["a"])]) == 0
    inspected = capsys.readouterr().out
    assert "preprocess color: bgr, resize: stretch, size: [16, 16]" in inspected
    assert "int8        int8, rest f32" in inspected
    row = next(line for line in shown.splitlines() if "parity.passed" in line)
    assert row.split()[-2:] == ["yes", "no"]
    assert "color: bgr" in shown
    for text in (shown, inspected):
        assert not {"True", "False", "None", "{", "'"} & {
            word for word in ("True", "False", "None", "{", "'") if word in text
        }


@pytest.mark.parametrize("content", [None, b"", b"no bundle"])
def test_trouble_is_2_and_no_difference(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    a, bad = bundle(tmp_path / "a.edgebundle"), tmp_path / "bad.edgebundle"
    if content is not None:
        bad.write_bytes(content)
    assert run(["bundle", "diff", str(a), str(bad)]) == 2
    captured = capsys.readouterr()
    assert "error:" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
