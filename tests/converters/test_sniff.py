"""A model's kind is told by its content, and what would run code is refused without loading it."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgesdk_converters.sniff import Kind, sniff
from edgesdk_targets.errors import InputError


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


def test_each_kind_is_recognised_whatever_its_suffix(tmp_path: Path) -> None:
    model, example = Tiny().eval(), torch.zeros(1, 3)
    names = {kind: tmp_path / f"{kind.name}.bin" for kind in Kind}
    torch.save(model.state_dict(), names[Kind.STATE_DICT])
    save_file(model.state_dict(), names[Kind.SAFETENSORS])
    torch.export.save(torch.export.export(model, (example,)), tmp_path / "exported.pt2")
    (tmp_path / "exported.pt2").rename(names[Kind.EXPORTED])
    names[Kind.ONNX].write_bytes(_onnx(model, example))
    for kind in (Kind.STATE_DICT, Kind.SAFETENSORS, Kind.EXPORTED, Kind.ONNX):
        assert sniff(names[kind]) is kind


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.trace(Tiny().eval(), torch.zeros(1, 3)).save(str(path))
    assert sniff(path) is Kind.TORCHSCRIPT


def test_old_torch_save_is_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "old.th"
    torch.save({"state_dict": Tiny().state_dict()}, path, _use_new_zipfile_serialization=False)
    assert sniff(path) is Kind.STATE_DICT


@pytest.mark.parametrize("zipped", [True, False])
def test_full_pickle_is_refused_with_the_line_that_exports_it_and_not_run(tmp_path: Path, zipped: bool) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / "best.pt"
    torch.save({"model": Trap(sprung)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError) as refused:
        sniff(path)
    assert "pickle" in refused.value.message
    assert "torch.save(model.state_dict()" in refused.value.hint
    assert not sprung.exists()


def test_the_trap_works_when_it_is_really_loaded(tmp_path: Path) -> None:
    """Negative control: loading such a file the careless way does run its code."""
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()


def test_an_ultralytics_pickle_is_answered_with_its_export_command(tmp_path: Path) -> None:
    body = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\nq\x00)\x81q\x01."
    path = tmp_path / "best.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", body)
    with pytest.raises(InputError) as refused:
        sniff(path)
    assert "yolo export model=best.pt format=onnx" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a model"),
        (b"hello world, this is text", "not a model"),
        (b"\x00\x00\x00\x00TFL3rest", "finished TFLite"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "thing.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        sniff(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        sniff(tmp_path / "absent.onnx")


def test_a_bundle_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "m.edgebundle"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
    with pytest.raises(InputError, match="bundle"):
        sniff(path)


def _onnx(model: torch.nn.Module, example: torch.Tensor) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    buffer = io.BytesIO()
    onnx.save(helper.make_model(graph), buffer)
    return buffer.getvalue()
