"""Artifacts that take part in a comparison, with whatever times, sizes and figures a test wants."""

from __future__ import annotations

from typing import Any

from edgesdk.benchmark.contest import Entry, Figure
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.target import Precision, Runtime


def entry(name: str, precision: str = "fp32", runtime: str = "litert", **changes: Any) -> Entry:
    """Return one that was measured, of a Raspberry Pi 5; other fields as given."""
    variant = Variant(
        id=name,
        target="rpi5",
        runtime=Runtime(runtime),
        precision=Precision(precision),
        files={"model": "m"},
        inputs=(),
        outputs=(),
    )
    fields: dict[str, Any] = {"ms": 10.0, "size_bytes": 1000, "rss_bytes": 10**8, "status": "measured", **changes}
    return Entry(name=name, model=fields.pop("model", "m"), variant=variant, **fields)


def top1(value: float) -> Figure:
    """Return an accuracy with its interval."""
    return Figure("top1", value, value - 0.01, value + 0.01, 100)
