"""Bundles that are compared, and what was measured of one of them elsewhere."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from edgesdk.cli.app import run
from edgesdk_targets.target import Runtime
from edgesdk_testkit.measured_elsewhere import Change, Document, OnAPi
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, WIDE


@pytest.fixture(scope="session")
def two_bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same network on a small picture, and on one of 64 times the area."""
    folder = tmp_path_factory.mktemp("two")
    variants = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
    return (
        write_tiny_bundle(folder / "small.edgebundle", CNN, variants),
        write_tiny_bundle(folder / "wide.edgebundle", WIDE, variants),
    )


@pytest.fixture(scope="session")
def small_bundle(two_bundles: tuple[Path, Path]) -> Path:
    return two_bundles[0]


@pytest.fixture(scope="session")
def benchmarked(small_bundle: Path) -> str:
    """What the command really writes; of this host, whatever it is."""
    with contextlib.redirect_stdout(out := io.StringIO()):
        assert run(["benchmark", str(small_bundle), "--target", "rpi5", "--duration", "0.05", "--json"]) == 0
    return out.getvalue()


@pytest.fixture
def on_a_pi(benchmarked: str, tmp_path: Path) -> OnAPi:
    """Return what writes that document as if it were of a Raspberry Pi 5, changed."""

    def write(change: Change = lambda _document: None, name: str = "pi.json") -> Path:
        document: Document = json.loads(benchmarked)
        document["host"] |= {"target": "rpi5", "cpu": "Cortex-A76", "accelerator": None, "warnings": ["it is hot"]}
        document["variants"][0] |= {"status": "measured", "rss_bytes": 123_000_000, "notes": []}
        document["variants"][0]["warm_up"]["steady"] = True
        document["variants"][0]["latency_ms"]["p50"] = 77.0
        change(document)
        (tmp_path / name).write_text(json.dumps(document))
        return tmp_path / name

    return write
