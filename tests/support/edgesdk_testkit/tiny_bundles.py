"""Bundles of the tiny models, written without any converter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.state import StateSpec
from edgesdk_targets.target import Precision, Runtime
from edgesdk_testkit.tiny_models import CNN, MEAN, STD, STREAM, TinyModel

LABELS = ("ant", "bee", "cat", "dog", "eel")
_SUFFIX = {
    (Runtime.OPENVINO, "model"): "xml",
    (Runtime.OPENVINO, "weights"): "bin",
    (Runtime.LITERT, "model"): "tflite",
}
# One target of each runtime's kind.
USUAL = (("x86-cpu", Runtime.OPENVINO), ("rpi5", Runtime.LITERT), ("generic-onnx", Runtime.ONNXRUNTIME))


def tiny_variant(model: TinyModel, target: str, runtime: Runtime) -> tuple[Variant, dict[str, bytes]]:
    """Return a variant of a tiny model, and its files by their path in the bundle."""
    file = model.file(Runtime.ONNXRUNTIME if runtime is Runtime.TENSORRT else runtime)
    name = f"{target}-{runtime.value}-fp32"
    paths = {role: f"models/{name}/{role}.{_SUFFIX.get((runtime, role), 'onnx')}" for role in file.files}
    variant = Variant(
        id=name,
        target=target,
        runtime=runtime,
        precision=Precision.FP32,
        files=paths,
        inputs=file.inputs,
        outputs=file.outputs,
        folded=model.folded,
    )
    return variant, {paths[role]: data for role, data in file.files.items()}


def tiny_manifest(model: TinyModel, variants: Sequence[Variant], **changes: Any) -> Manifest:
    """Return a manifest for a tiny model; `files` is filled in when the bundle is written."""
    layout = model.inputs[0].layout
    shape = model.inputs[0].shape
    height, width = shape[1:3] if layout == "NHWC" else shape[-2:]
    gray = layout == "NCHW" and shape[1] == 1
    channels = 1 if gray else 3
    fields: dict[str, Any] = {
        "name": model.name,
        "version": "1.0.0",
        "task": "classify",
        "labels": LABELS if model is not STREAM else LABELS[:4],
        "inputs": model.inputs,
        "outputs": model.outputs,
        "preprocess": Preprocess(
            color="gray" if gray else "bgr",
            size=(height, width),
            mean=(MEAN,) * channels,
            std=(STD,) * channels,
        ),
        "state": (StateSpec(input="before", output="after"),) if model is STREAM else (),
        "variants": tuple(variants),
        "files": {path: {"sha256": "0" * 64, "size": 0} for v in variants for path in v.files.values()},
    }
    return Manifest.model_validate({**fields, **changes})


def write_tiny_bundle(
    path: Path,
    model: TinyModel = CNN,
    variants: Sequence[tuple[str, Runtime]] = USUAL,
    extra: dict[str, bytes] | None = None,
    **changes: Any,
) -> Path:
    """Write a bundle of a tiny model with one variant for each (target, runtime), and return its path."""
    made = [tiny_variant(model, target, runtime) for target, runtime in variants]
    files = {name: data for _, content in made for name, data in content.items()} | (extra or {})
    manifest = tiny_manifest(model, [variant for variant, _ in made], **changes)
    write_bundle(path, manifest, files)
    return path
