"""Put what was built into one bundle: shared files once, provenance and reports beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.conversion import Conversion
from edgesdk_converters.provenance import provenance
from edgesdk_converters.reference import Reference
from edgesdk_converters.sbom import SBOM, sbom
from edgesdk_converters.source import Source
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_targets.whole_file import check_writable

Built = tuple[Variant, Artifact]


def bundle_path(output: Path, name: str, version: str) -> Path:
    """Return where a model's bundle goes: the file that is named, or its usual name in the folder that is named.

    Raises:
        InputError: there is another file, or the place cannot be written.
    """
    if output.suffix == SUFFIX:
        path = output
    elif output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file and no bundle.", hint=f"Give a folder, or a name ending in {SUFFIX}.")
    else:
        path = output / f"{name}-{version}{SUFFIX}"
    check_writable(path, "-o")
    return path


def write(
    path: Path,
    source: Source,
    reference: Reference,
    built: Sequence[Built],
    *,
    reports: Mapping[str, object],
    golden: Mapping[str, bytes],
    sensitivity: Sequence[Mapping[str, Any]] = (),
    calibration: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
    history: Mapping[str, Any] | None = None,
) -> Conversion:
    """Write the bundle, whole or not at all.

    Args:
        reports: name → content of `reports/NAME.json`.
        golden: path in the bundle → content.
        calibration: the record of the pictures that INT8 ranges were measured on.
        history: what was done to the model before.

    Raises:
        InputError, NoSpace: it cannot be written.
    """
    files: dict[str, bytes] = {}
    variants: list[Variant] = []
    for variant, artifact in built:
        places = {role: _place(files, variant.id, role, variant.runtime, data) for role, data in artifact.files.items()}
        variants.append(variant.model_copy(update={"files": places}))
    sizes = {v.id: sum(len(files[p]) for p in set(v.files.values())) for v in variants}
    card = source.card
    made_by = provenance(source, variants, calibration, history)
    # First of all files, while they are the artifacts alone: it lists what is delivered, not what is said about it.
    bill = sbom(card.name, card.version, card.license, variants, files, made_by)
    files |= {"provenance.json": _json(made_by), SBOM: _json(bill)}
    files |= {f"reports/{name}.json": _json(content) for name, content in reports.items()}
    files |= golden
    if card.agent:
        files["agent.json"] = _json(card.agent)
    manifest = Manifest(
        name=card.name,
        version=card.version,
        task=card.task,
        labels=source.card_file.labels,
        license=card.license,
        inputs=reference.inputs,
        outputs=reference.outputs,
        preprocess=card.preprocess,
        postprocess=card.postprocess,
        state=card.state,
        window=card.window,
        variants=tuple(variants),
        files={name: {"sha256": "0" * 64, "size": 0} for name in files},
    )
    digest = write_bundle(path, manifest, files)
    told = (*source.card_file.warnings, *warnings)
    return Conversion(path, digest, tuple(variants), sizes, told, tuple(sensitivity))


def _place(files: dict[str, bytes], variant_id: str, role: str, runtime: Runtime, data: bytes) -> str:
    """Find a path for one file; equal content is stored once."""
    for path, stored in files.items():
        if stored == data:
            return path
    suffix = {
        "recipe": "json",
        "weights": "bin",
        "model": {Runtime.OPENVINO: "xml", Runtime.LITERT: "tflite"}.get(runtime, "onnx"),
    }[role]
    path = f"models/{variant_id}/{role}.{suffix}"
    files[path] = data
    return path


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
