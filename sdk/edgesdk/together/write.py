"""Write several models into one bundle: their files, where they come from, and a golden set of their common answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesdk.together.members import Part, own_inputs, preprocess_of, read_files
from edgesdk_converters.artifact import Artifact
from edgesdk_converters.cache import version_of
from edgesdk_converters.golden.golden_set import GoldenModel, golden_files
from edgesdk_converters.packing import bundle_path
from edgesdk_converters.proving.compare import runtime_here
from edgesdk_converters.sbom import SBOM, sbom
from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import WrongTarget
from edgesdk_targets.golden.staged_run import Meaning
from edgesdk_targets.session import Session, open_files
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.together.spec import OUTPUT

_AGENT = "agent.json"


def place_of(
    output: Path, parts: Sequence[Part], rule: str, name: str | None, version: str | None
) -> tuple[Path, str, str]:
    """Return where the bundle goes, its name and its version.

    Raises:
        InputError: there is another file, or the place cannot be written.
    """
    last = parts[-1].manifest
    called, number = name or f"{last.name}-{rule}", version or last.version
    return bundle_path(output, called, number), called, number


def write_together(
    path: Path,
    name: str,
    version: str,
    parts: Sequence[Part],
    variants: Sequence[Variant],
    pictures: Sequence[bytes],
    *,
    report: Mapping[str, Any],
) -> str:
    """Write the bundle, whole or not at all, and return its digest.

    Args:
        variants: of `together_variants`; at least one has to run here, which answers the golden set.
        pictures: PNG files for the golden set, at least one.
        report: how it was made, for `reports/together.json` and the provenance.

    Raises:
        WrongTarget: none of the variants can run here.
        InputError, NoSpace: it cannot be written.
        SessionFailed, MissingExtra: the members do not load.
    """
    first = parts[0].manifest
    files: dict[str, bytes] = {}
    placed: list[Variant] = []
    for variant in variants:
        content = read_files(parts, variant)
        paths = {role: _path(role, variant.files[role]) for role in content}
        files |= {paths[role]: data for role, data in content.items()}
        placed.append(variant.model_copy(update={"files": paths}))
    outputs = (TensorSpec(name=OUTPUT, shape=placed[0].outputs[0].shape),)
    postprocess = Postprocess(activation="none", top_k=first.postprocess.top_k)
    made_by = _provenance(parts, placed, report)
    licence = _licence(parts)
    bill = sbom(name, version, licence, placed, files, made_by)
    own = own_inputs(parts)
    prepared = {spec.name: preprocess_of(parts[place]) for place, spec in own.items()}
    inputs = (*first.inputs, *own.values())
    meaning = Meaning("classify", first.preprocess, postprocess, first.labels, (), own_preprocess=prepared or None)
    built = [(v, Artifact({r: files[p] for r, p in v.files.items()}, v.inputs, v.outputs, v.folded)) for v in placed]
    golden = _golden(built, inputs, outputs, meaning, pictures)
    files |= {"provenance.json": _json(made_by), SBOM: _json(bill), "reports/together.json": _json(report)} | golden
    if _AGENT in first.files:
        files[_AGENT] = parts[0].bundle.read(_AGENT)
    manifest = Manifest(
        name=name,
        version=version,
        task="classify",
        labels=first.labels,
        license=licence,
        inputs=inputs,
        outputs=outputs,
        preprocess=first.preprocess,
        own_preprocess=prepared or None,
        postprocess=postprocess,
        variants=tuple(placed),
        files={place: {"sha256": "0" * 64, "size": 0} for place in files},
    )
    return write_bundle(path, manifest, files)


def _golden(
    built: Sequence[tuple[Variant, Artifact]],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    meaning: Meaning,
    pictures: Sequence[bytes],
) -> dict[str, bytes]:
    def opened(artifact: Artifact, variant: Variant, runtime: Runtime) -> Session:
        return open_files(artifact.files, variant, inputs, outputs, runtime=runtime)

    found = next(((v, a, r) for v, a in built if (r := runtime_here(v.runtime)) is not None), None)
    if found is None:
        raise WrongTarget(
            "None of the variants can run here, and a bundle's golden answers are its own.",
            hint="Install one of their runtimes, or convert the models for generic-onnx too.",
        )
    lead, artifact, runtime = found
    assert meaning.preprocess is not None  # noqa: S101  (of a classifier of pictures)
    session = opened(artifact, lead, runtime)
    try:
        model = GoldenModel(session, lead.folded, meaning, meaning.preprocess, pictures, opened, lead.together)
        return golden_files(model, built)
    finally:
        session.close()


def _path(role: str, path: str) -> str:
    """Return where a member's file goes: as in its own bundle, below its place."""
    place, _, _ = role.partition("/")
    return f"models/{place}/{path.removeprefix('models/')}"


def _provenance(parts: Sequence[Part], variants: Sequence[Variant], report: Mapping[str, Any]) -> dict[str, Any]:
    members = [
        {
            "name": part.manifest.name,
            "version": part.manifest.version,
            "digest": part.bundle.digest,
            "provenance": _own_provenance(part),
        }
        for part in parts
    ]
    return {
        "source": {"kind": "together", "name": None, "sha256": None},
        "members": members,
        "how": dict(report),
        "tools": {"edgesdk": version_of("edgesdk")},
        "variants": {v.id: {"runtime": v.runtime.value, "notes": list(v.notes)} for v in variants},
    }


def _own_provenance(part: Part) -> object:
    if "provenance.json" not in part.manifest.files:
        return None
    try:
        return json.loads(part.bundle.read("provenance.json"))
    except (ValueError, RecursionError):
        return None


def _licence(parts: Sequence[Part]) -> str | None:
    """Return all licences, as SPDX joins them; None where one is not known."""
    names = list(dict.fromkeys(part.manifest.license for part in parts))
    known = [name for name in names if name is not None]
    return " AND ".join(known) if len(known) == len(names) else None


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
