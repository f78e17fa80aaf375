"""What `edgesdk benchmark --json` wrote, as if it were of another machine, for tests of `compare --measured`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import edgesdk
from edgesdk.comparison.compare import Comparison

RPI5, ONNX = "rpi5-litert-fp32", "generic-onnx-onnxruntime-fp32"
Document = dict[str, Any]
Change = Callable[[Document], object]


class OnAPi(Protocol):
    """Writes the document of a Raspberry Pi 5, changed, and returns its path."""

    def __call__(self, change: Change = ..., name: str = ...) -> Path: ...


def compared(*bundles: Path, **options: Any) -> Comparison:
    """Put bundles side by side, in hardly any time."""
    return edgesdk.compare(bundles, threads=1, rounds=1, slice_s=0.01, **options)
