"""Bad input: a clear error that says what to do, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_testkit.small_disk import small_disk

pytestmark = pytest.mark.system
CARD = """
name: thing
source: {source}
factory: thing_model:{factory}
task: classify
input: {{name: image, shape: {shape}, dtype: float32, layout: NCHW}}
preprocess: zero-one
"""
MODEL = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, 2)
    def forward(self, x):
        return self.conv(x).mean((2, 3))

class Strange(Net):
    def forward(self, x):
        return torch.special.bessel_j0(self.conv(x)).mean((2, 3))

def net(): return Net()
def strange(): return Strange()
def broken(): raise ValueError("the weights of layer 3 are upside down")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import torch

    (tmp_path / "thing_model.py").write_text(MODEL)
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, 4, 3, 2)
    torch.save({f"conv.{k}": v for k, v in net.state_dict().items()}, tmp_path / "w.pt")
    (tmp_path / "text.onnx").write_text("this is not a model")
    (tmp_path / "card.yaml").write_text(CARD.format(source="w.pt", factory="net", shape="[1, 3, 32, 32]"))
    (tmp_path / "broken.yaml").write_text(CARD.format(source="w.pt", factory="broken", shape="[1, 3, 32, 32]"))
    (tmp_path / "strange.yaml").write_text(CARD.format(source="w.pt", factory="strange", shape="[1, 3, 32, 32]"))
    (tmp_path / "shape.yaml").write_text(CARD.format(source="w.pt", factory="net", shape="[1, 1, 32, 32]"))
    (tmp_path / "field.yaml").write_text("name: x\ntask: clasify\ninput: {shape: [1, 3, 8, 8]}\n")
    (tmp_path / "syntax.yaml").write_text("name: [1, 2\ntask: classify\n")
    (tmp_path / "full.pt").write_bytes(_full_pickle())
    return tmp_path


def _full_pickle() -> bytes:
    import io

    import torch

    buffer = io.BytesIO()
    torch.save({"model": torch.nn.Linear(2, 2)}, buffer)
    return buffer.getvalue()


def _edgesdk(*arguments: str, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGESDK_CACHE": str(cwd / "cache")}
    command = [sys.executable, "-m", "edgesdk", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False, env=env)


CASES = {
    "missing file": (("convert", "absent.onnx", "-t", "rpi5"), 2, "absent.onnx cannot be read"),
    "wrong format": (("convert", "text.onnx", "-t", "rpi5"), 2, "is not a model that can be recognised"),
    "full pickle": (("convert", "full.pt", "-t", "rpi5"), 2, "torch.save(model.state_dict()"),
    "factory raises": (("convert", "broken.yaml", "-t", "rpi5"), 2, "the weights of layer 3 are upside down"),
    "wrong shape": (("convert", "shape.yaml", "-t", "generic-onnx"), 2, "Correct `input.shape`"),
    "wrong field": (("convert", "field.yaml", "-t", "rpi5"), 2, "field.yaml:2: field task"),
    "bad yaml": (("convert", "syntax.yaml", "-t", "rpi5"), 2, "syntax.yaml:"),
    "unknown target": (("convert", "card.yaml", "-t", "rpi55"), 2, "rpi5"),
    "unknown precision": (("convert", "card.yaml", "-t", "rpi5", "--precision", "fp8"), 2, "fp16"),
    "weights without a card": (("convert", "w.pt", "-t", "rpi5"), 2, "edgesdk card init"),
    "no bundle": (("run", "absent.edgebundle", "--source", "0"), 1, "absent.edgebundle cannot be read"),
    "not a bundle": (("bundle", "inspect", "text.onnx"), 1, "is not a bundle"),
    "unknown command": (("converd",), 2, "Did you mean 'convert'"),
    "unknown option": (("convert", "card.yaml", "--targett", "x"), 2, "No such option"),
    "no config": (("agent", "run", "--config", "absent.yaml"), 2, "absent.yaml"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_explained(name: str, folder: Path) -> None:
    arguments, code, says = CASES[name]
    before = sorted(folder.iterdir())
    done = _edgesdk(*arguments, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    made = [p.name for p in sorted(folder.iterdir()) if p not in before]
    assert set(made) <= {"__pycache__", "cache"}


def test_an_op_without_equivalent_is_named_with_the_target(folder: Path) -> None:
    done = _edgesdk("convert", "strange.yaml", "-t", "rpi5", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "bessel_j0" in done.stderr
    assert "rpi5" in done.stderr
    assert not list(folder.glob("*.edgebundle"))


def test_the_same_input_without_the_fault_converts(folder: Path) -> None:
    """Negative control of the whole table."""
    done = _edgesdk("convert", "card.yaml", "-t", "generic-onnx", "-o", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "out/thing-0.1.0.edgebundle").is_file()


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _edgesdk("fleet", "broker", "--port", port, cwd=tmp_path)
        served = _edgesdk("fleet", "serve", "--port", "0", "--broker-port", port, cwd=tmp_path)
    assert (done.returncode, served.returncode) == (2, 2)
    assert "is in use" in done.stderr
    assert "another --port" in done.stderr
    assert "is in use" in served.stderr
    assert "another --broker-port" in served.stderr, "--port is the dashboard's"


def test_agent_without_camera_or_broker(digits_bundle: Path, tmp_path: Path) -> None:
    cases = [
        (("--source", "absent.mp4", "--no-mqtt"), 2, "no camera, file or folder"),
        (("--source", "conveyor:?frames=3"), 2, "No broker is set"),
        (("--source", "rtsp://127.0.0.1:1/none", "--no-mqtt"), 1, "127.0.0.1"),
    ]
    for arguments, code, says in cases:
        done = _edgesdk("agent", "run", "--bundle", str(digits_bundle), *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_a_refused_broker_is_an_error_where_it_is_required(digits_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "edgesdk.yaml"
    config.write_text(
        f"bundle: {digits_bundle}\ncameras: [{{name: belt, source: 'conveyor:?fps=30'}}]\n"
        "mqtt: {url: 'mqtt://127.0.0.1:1', require_at_start: true, start_timeout_s: 2}\n"
    )
    done = _edgesdk("agent", "run", "--config", "edgesdk.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "mqtt://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for almost nothing."""
    with small_disk(tmp_path, "16k") as disk:
        yield disk


def test_a_full_disk_leaves_nothing_behind(digits_bundle: Path, tiny_disk: Path, tmp_path: Path, root: Path) -> None:
    card = root / "examples/digits/detector.yaml"
    done = _edgesdk("convert", str(card), "-t", "generic-onnx", "-o", str(tiny_disk), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "disk is full" in done.stderr
    assert not list(tiny_disk.iterdir())
    done = _edgesdk("bundle", "unpack", str(digits_bundle), "-o", str(tiny_disk / "b"), cwd=tmp_path)
    assert done.returncode == 1
    assert "disk is full" in done.stderr
    assert not list(tiny_disk.iterdir())
