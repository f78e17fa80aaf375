"""Where a bundle comes from: its source's hash, the tools and the steps. No date and no path of a machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from edgesdk_converters.cache import version_of
from edgesdk_converters.source import Source
from edgesdk_targets.bundle.manifest import Variant

_TOOLS = (
    "edgesdk", "torch", "onnx", "onnxscript", "onnxruntime", "openvino", "litert-torch",
    "litert-converter", "ai-edge-litert", "ai-edge-quantizer", "nncf", "tensorrt-rtx",
)  # fmt: skip


def provenance(
    source: Source,
    variants: Sequence[Variant],
    calibration: Mapping[str, object] | None = None,
    history: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the content of `provenance.json`.

    Args:
        calibration: the record of the pictures that INT8 ranges were measured on, where there were any.
        history: what was done to the model before, where something was: compression's recipe and passes.
    """
    content = hashlib.sha256(source.content()).hexdigest() if source.path else None
    return {
        "source": {
            "kind": source.kind.value,
            "name": source.path.name if source.path else None,
            "sha256": content,
            "factory": source.card.factory,
            "factory_args": source.card.factory_args,
        },
        "tools": {name: version_of(name) for name in _TOOLS},
        **({"calibration": dict(calibration)} if calibration else {}),
        **({"history": dict(history)} if history else {}),
        "variants": {v.id: {"runtime": v.runtime.value, "notes": list(v.notes)} for v in variants},
    }
