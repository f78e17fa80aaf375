"""A graph in a `.pt2` may become code as well as a pickle may: what torch would call, import or write as source is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesdk_converters.exported_graph import graph_faults
from edgesdk_converters.exported_safety import check_exported
from edgesdk_targets.errors import InputError


class Net(torch.nn.Module):
    """Two inputs of open size, one by name; a condition, a switched gradient, keys with a dash, a dictionary as output."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleDict({"a-b": torch.nn.BatchNorm1d(4)})

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, Any]:
        with torch.no_grad():
            y = self.norms["a-b"](x) * scale
        chosen = torch.cond(y.sum() > 0, lambda one: one + 1, lambda one: one - 1, (y,))
        return {"out": chosen.reshape(x.shape[0] * 2, 2), "more": (y, [y[: x.shape[0] // 2 + 1]])}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "good.pt2"
    shapes = {"x": {0: torch.export.Dim.AUTO}, "scale": None}
    torch.export.save(
        torch.export.export(Net().eval(), (torch.ones(6, 4),), {"scale": torch.ones(1)}, dynamic_shapes=shapes), path
    )
    return path


def _changed(path: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    out = folder / "changed.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("models/model.json"):
                program = json.loads(data)
                change(program)
                data = json.dumps(program).encode()
            target.writestr(info.filename, data)
    return out


def _run(path: Path) -> None:
    """Load and run without our check, whatever comes of it."""
    try:
        program = torch.export.load(str(path))
        program.module()(torch.ones(6, 4), scale=torch.ones(1))
    except Exception:
        pass


def test_what_torch_writes_is_accepted(good: Path) -> None:
    check_exported(good)


def test_a_guard_that_runs_code_when_it_is_run_unchecked_is_refused(good: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    def guarded(program: dict[str, Any]) -> None:
        program["guards_code"] = [f"__import__('os').mkdir('{trap}') or True"]

    path = _changed(good, tmp_path, guarded)
    with pytest.raises(InputError, match="guards_code"):
        check_exported(path)
    assert not trap.exists()
    _run(path)
    assert trap.exists(), "negative control"


def test_a_node_that_hands_a_function_to_one_that_calls_it_is_refused(tmp_path: Path) -> None:
    trap, good = tmp_path / "sprung", tmp_path / "good.pt2"
    torch.export.save(torch.export.export(torch.nn.ReLU().eval(), (torch.ones(2),)), good)

    def called(program: dict[str, Any]) -> None:
        graph = program["graph_module"]["graph"]
        graph["tensor_values"]["made"] = next(iter(graph["tensor_values"].values()))
        given = [{"as_operator": "torch.os.mkdir"}, {"as_string": str(trap)}]
        node = {
            "target": "torch.ops.higher_order.wrap",
            "inputs": [{"name": "", "arg": one, "kind": 1} for one in given],
            "outputs": [{"as_tensor": {"name": "made"}}],
            "metadata": {},
            "is_hop_single_tensor_return": True,
        }
        graph["nodes"].insert(0, node)

    path = _changed(good, tmp_path, called)
    with pytest.raises(InputError, match=r"torch\.os\.mkdir"):
        check_exported(path)
    assert not trap.exists()
    # It cannot be written as source, and runs where a graph is run node by node, as torch then advises.
    with pytest.warns(UserWarning, match=r"torch\.fx\.Interpreter"):
        program = torch.export.load(str(path))
    torch.fx.Interpreter(program.graph_module).run(torch.ones(2))
    assert trap.exists(), "negative control"


ENUM = json.dumps([1, {"type": "builtins.dict", "context": '[{"__enum__": true, "fqn": "os:x"}]', "children_spec": []}])
FACTORY = json.dumps([1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}])


@pytest.mark.parametrize(
    "program",
    [
        {"target": "torch.ops.load_library"},
        {"target": "torch.ops.aten.from_file.default"},
        {"target": "torch.ops.aten.save.default"},
        {"target": "torch.ops.aten.add.Tensor.__class__"},
        {"as_operator": "torch.os.system"},
        {"as_operator": "math.__loader__.load_module"},
        {"target": "torch.ops.aten.__class__"},
        {"target": "_operator.attrgetter"},
        {"name": "x=print()"},
        {"parameter_name": 'a")+print("'},
        {"in_spec": ENUM},
        {"out_spec": FACTORY},
        {"in_spec": "no JSON"},
        {"guards_code": ["L['x'].size()[0] == exit()"]},
        {"expr_str": "s0.__class__"},
    ],
)
def test_what_could_become_code_is_found_at_any_depth(program: dict[str, Any]) -> None:
    assert len(list(graph_faults({"a": [{"b": program}]}))) == 1


@pytest.mark.parametrize(
    "program",
    [
        {"target": "torch.ops.aten.convolution.default"},
        {"target": "torch.ops.torchvision.nms.default"},
        {"target": "_operator.floordiv"},
        {"as_operator": "torch.ops.aten.add.Tensor"},
        {"guards_code": ["L['x'].size()[0] // 2 != 1 and L['k'][0].size()[1] <= 64"]},
        {"expr_str": "FloorDiv(Symbol('s77', positive=True, integer=True), 2) + 1"},
        {"expr_str": "GreaterThan(Mul(Integer(6), Symbol('u0', integer=True)), Integer(0))"},
        {"parameter_name": "blocks.0.conv-1.weight"},
    ],
)
def test_what_torch_writes_is_no_fault(program: dict[str, Any]) -> None:
    assert list(graph_faults(program)) == []
