"""Phase "parse": whether TensorRT's parser takes the files that are shipped for it, and builds an engine, without a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts
from edgesdk_targets.bundle.bundle import open_bundle
from table.build import Say, bundle_of
from table.prepared import Prepared


def parse_family(model: Prepared, cells: Mapping[str, dict[str, Any]], say: Say) -> dict[str, Any]:
    """Ask about every cell that was built.

    Returns:
        precision → `{"status", "reason", "op", "node", "built"}`.

    Raises:
        SystemExit: there is no parser here.
    """
    found: dict[str, Any] = {}
    for precision, cell in cells.items():
        path = bundle_of(cell, model.places.scratch)
        if path is None:
            continue
        say(precision)
        with open_bundle(path) as bundle:
            variant = next(one for one in bundle.manifest.variants if one.id == cell["variant"])
            verdict = parser_accepts(bundle.read(variant.files["model"]))
        if verdict.status == "not checked":
            raise SystemExit(f"the parser was not asked: {verdict.reason} (pip install 'edgesdk[tensorrt-rtx]')")
        found[precision] = asdict(verdict)
    return found
