"""A `.pt2` that would run code when it is loaded is refused before torch reads it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from edgesdk_converters.exported_safety import check_exported
from edgesdk_targets.errors import InputError


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.pt2"
    dynamic = {"x": {0: torch.export.Dim("batch", min=2, max=8)}}
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    torch.export.save(torch.export.export(Net(), (torch.zeros(2, 3, 4),), dynamic_shapes=dynamic), path)
    return path


def _rewritten(path: Path, change: object) -> Path:
    out = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            target.writestr(info.filename, change(info.filename, data))
    return out


def test_what_torch_writes_is_accepted(good: Path) -> None:
    check_exported(good)


def test_a_pickle_that_names_code_is_refused_and_not_run(good: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    buffer = io.BytesIO()
    torch.save(Trap(sprung), buffer)

    def change(name: str, data: bytes) -> bytes:
        return buffer.getvalue() if "sample_inputs" in name else data

    evil = _rewritten(good, change)
    with pytest.raises(InputError, match="pickle"):
        check_exported(evil)
    plain = _rewritten(good, lambda n, d: pickle.dumps(Trap(sprung)) if "sample_inputs" in n else d)
    with pytest.raises(InputError, match="pickle"):
        check_exported(plain)
    assert not sprung.exists()


@pytest.mark.parametrize("text", ["__import__('os').system('true')", "exec(chr(105))", "s0.__class__", "open(s0)"])
def test_a_size_expression_that_is_no_arithmetic_is_refused(good: Path, text: str) -> None:
    found = []

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(".json") or b"expr_str" not in data:
            return data
        found.append(name)

        def walk(value: object) -> object:
            if isinstance(value, dict):
                return {k: text if k == "expr_str" else walk(v) for k, v in value.items()}
            return [walk(v) for v in value] if isinstance(value, list) else value

        return json.dumps(walk(json.loads(data))).encode()

    evil = _rewritten(good, change)
    assert found, "the example has an open size, so torch writes an expression"
    with pytest.raises(InputError, match="no arithmetic"):
        check_exported(evil)
