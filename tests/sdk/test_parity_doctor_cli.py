"""`edgesdk doctor parity` as people call it: on a real bundle, in words and JSON, and with files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgesdk.cli.app import run
from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.decode.activation import softmax
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_testkit.careless_app import Feed, Slip, careless, feed, picture_file
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, STD, STREAM

RIGHT = Feed((16, 16), "bgr", mean=(MEAN,) * 3, std=(STD,) * 3, noise=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity")
    (folder / "x.jpg").write_bytes(picture_file(3))
    write_tiny_bundle(folder / "b.edgebundle", CNN, [("generic-onnx", Runtime.ONNXRUNTIME)])
    write_tiny_bundle(folder / "s.edgebundle", STREAM, [("generic-onnx", Runtime.ONNXRUNTIME)])
    np.save(folder / "right.npy", feed(picture_file(3), RIGHT))
    np.save(folder / "rgb.npy", feed(picture_file(3), careless(RIGHT, Slip("", "", {"color": "rgb"}))))
    return folder


def parity(folder: Path, *more: str, tensor: str = "right.npy", bundle: str = "b.edgebundle") -> int:
    given = [f"--bundle={folder / bundle}", f"--tensor={folder / tensor}", f"--image={folder / 'x.jpg'}"]
    return run(["doctor", "parity", *given, *more])


def test_a_right_tensor_is_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity(folder) == 0
    assert "is what the bundle asks for" in capsys.readouterr().out


def test_a_wrong_one_is_3_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity(folder, tensor="rgb.npy") == 3
    out = capsys.readouterr().out
    assert "channels_swapped: the channels are in RGB order; the model takes BGR" in out
    assert "→ Swap the channels" in out


def test_an_input_that_was_never_filled_is_3_and_not_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(folder / "zeros.npy", np.zeros_like(np.load(folder / "right.npy")))
    assert parity(folder, tensor="zeros.npy") == 3
    out = capsys.readouterr().out
    assert "All its values are equal (0)" in out
    assert "explains it:" not in out


def test_outputs_of_another_shape_are_3_with_both_shapes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "short.npy", np.ones((1, 77), np.float32))
    assert parity(folder, f"--outputs={folder / 'short.npy'}") == 3
    out = capsys.readouterr().out
    assert "Its shape [1, 77] does not fit any output of the bundle's (logits [1, 5])" in out


def test_json_is_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity(folder, "--json", tensor="rgb.npy") == 3
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["matches"] is False
    assert [m["name"] for m in found["input"]["mistakes"]] == ["channels_swapped"]
    assert found["input"]["sqnr_after_db"] > 60


def test_outputs_are_compared_with_the_answer_to_the_very_tensor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A swapped input and a softmax too many: each is named where it is."""
    dump = np.load(folder / "rgb.npy")
    np.save(folder / "out.npy", softmax(CNN.reference({"image": dump})["logits"]))
    assert parity(folder, f"--outputs={folder / 'out.npy'}", "--json", tensor="rgb.npy") == 3
    found = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in found["input"]["mistakes"]] == ["channels_swapped"]
    assert [m["name"] for m in found["outputs"][0]["mistakes"]] == ["softmax_applied"]
    assert "your tensor" in found["outputs"][0]["notes"][0]


def test_outputs_by_name_of_a_model_with_state(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = STREAM.inputs[0].shape
    right = Feed(shape[-2:], "gray", mean=(MEAN,), std=(STD,), noise=0)
    dump = feed(picture_file(3), right)
    np.save(folder / "strip.npy", dump)
    feeds = {spec.name: np.zeros(spec.shape, np.float32) for spec in STREAM.inputs}
    feeds[STREAM.inputs[0].name] = dump
    np.savez(folder / "strip.npz", logits=np.roll(STREAM.reference(feeds)["logits"], 1, -1))
    assert parity(folder, f"--outputs={folder / 'strip.npz'}", tensor="strip.npy", bundle="s.edgebundle") == 3
    out = capsys.readouterr().out
    assert "The input is what the bundle asks for" in out
    assert "label_offset: the classes are shifted by +1" in out


def bad_dumps(folder: Path) -> dict[str, tuple[object, str]]:
    nan = np.load(folder / "right.npy")
    nan[0, 0, 3, 3] = np.nan
    return {
        "pickle": (np.array([{"a": 1}], dtype=object), "Object arrays"),
        "nan": (nan, "1 of 768 values that are NaN"),
        "empty": (np.zeros((1, 3, 0, 16), np.float32), "is empty"),
        "text": (np.array(["a"]), "not numbers"),
        "complex": (np.zeros((1, 3, 16, 16), np.complex64), "not numbers"),
        "flat": (np.zeros(768, np.float32), "1 dimensions"),
        "huge": (np.full((1, 3, 16, 16), 1e200), "from 1e+200 to"),
        "batch": (np.zeros((2, 3, 16, 16), np.float32), "holds 2 pictures"),
    }


@pytest.mark.parametrize("case", ["pickle", "nan", "empty", "text", "complex", "flat", "huge", "batch"])
def test_a_dump_that_cannot_be_used(folder: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    array, says = bad_dumps(folder)[case]
    np.save(folder / f"{case}.npy", array, allow_pickle=True)
    assert parity(folder, tensor=f"{case}.npy") == 2
    err = capsys.readouterr().err
    assert says in err
    assert "→" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        ("--tensor", b"\x80\x04K*.", "no array file that can be trusted"),
        ("--tensor", b"", "no array file that can be trusted"),
        ("--tensor", None, "cannot be read: No such file"),
        ("--tensor", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9", "trusted"),
        ("--image", b"no picture", "is not a picture"),
        ("--image", b"", "is not a picture"),
        ("--image", None, "cannot be read: No such file"),
        ("--outputs", b"PK\x03\x04 no archive", "trusted"),
    ],
)
def test_a_file_that_cannot_be_used(
    folder: Path, tmp_path: Path, option: str, content: bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content)
    assert parity(folder, f"{option}={path}") == 2
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err


def test_several_arrays_are_no_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "several.npz", a=np.zeros(3), b=np.zeros(3))
    assert parity(folder, tensor="several.npz") == 2
    assert "several arrays" in capsys.readouterr().err


def test_a_bundle_without_preprocessing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_bundle(folder / "n.edgebundle", CNN, [("generic-onnx", Runtime.ONNXRUNTIME)], preprocess=None)
    assert parity(folder, bundle="n.edgebundle") == 2
    assert "how a picture is prepared" in capsys.readouterr().err


def test_a_letterbox_of_a_real_size_is_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At 640 x 640, as the field's detectors take it."""
    spec = Preprocess(color="rgb", resize="letterbox", size=(640, 640))
    wide = CNN.inputs[0].model_copy(update={"shape": (1, 3, 640, 640)})
    variant, files = tiny_variant(CNN, "generic-onnx", Runtime.ONNXRUNTIME)
    variant = variant.model_copy(update={"inputs": (wide,)})
    name = folder / "wide.edgebundle"
    write_bundle(name, tiny_manifest(CNN, [variant], preprocess=spec, inputs=(wide,)), files)
    big = picture_file(5, (900, 1200))
    (folder / "big.jpg").write_bytes(big)
    slip = Slip("", "", {"color": "bgr", "interpolation": "area", "noise": 2})
    np.save(folder / "big.npy", feed(big, careless(Feed((640, 640), resize="letterbox"), slip)))
    arguments = [f"--bundle={name}", f"--tensor={folder / 'big.npy'}", f"--image={folder / 'big.jpg'}"]
    assert run(["doctor", "parity", *arguments]) == 3
    out = capsys.readouterr().out
    assert "channels_swapped" in out
    assert "uses area interpolation; the bundle's is linear" in out


def test_doctor_alone_still_says_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"]
