"""Convert a trained model for one or several targets into one bundle.

For each target the first runtime of its chain for which a way works is built; the artifact is compared with the source
before it is accepted. The bundle is written whole, at the end, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_converters.artifact import Artifact, Progress, Workshop
from edgesdk_converters.cache import StepCache, default_folder
from edgesdk_converters.compare import compare, runtime_here
from edgesdk_converters.parity_pictures import parity_pictures
from edgesdk_converters.provenance import provenance
from edgesdk_converters.reference import Reference, open_reference
from edgesdk_converters.routes import Route, routes
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.bundle.archive import SUFFIX
from edgesdk_targets.bundle.bundle import write_bundle
from edgesdk_targets.bundle.manifest import Manifest, Status, Variant
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.errors import ConversionError, EdgeError, InputError, ParityError, SessionFailed, StepFailed
from edgesdk_targets.state import check_states
from edgesdk_targets.target import Precision, Runtime, Target
from edgesdk_targets.tensor import Array
from edgesdk_targets.variant_choice import this_host

if TYPE_CHECKING:
    import torch

# "x86-cpu" means any such processor, so building on one is building on the target.
_THIS_KIND = frozenset({"x86-cpu", "generic-onnx"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was built.

    Attributes:
        path: the bundle.
        digest: of its manifest, `sha256:…`.
        variants: in the order of the targets; each has its parity and notes.
        sizes: bytes of each variant's files, by variant id.
        warnings: what looked like a mistake.
    """

    path: Path
    digest: str
    variants: tuple[Variant, ...]
    sizes: Mapping[str, int]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "bundle": str(self.path),
            "digest": self.digest,
            "variants": [
                {
                    "id": v.id,
                    "target": v.target,
                    "runtime": v.runtime.value,
                    "precision": v.precision.value,
                    "effective_precision": v.effective_precision,
                    "bytes": self.sizes[v.id],
                    "parity": v.parity,
                    "status": v.status,
                    "notes": list(v.notes),
                }
                for v in self.variants
            ],
            "warnings": list(self.warnings),
        }


def convert(
    source: str | Path | torch.nn.Module,
    target: str | Sequence[str],
    *,
    output: str | Path = ".",
    card: str | Path | Mapping[str, Any] | None = None,
    precision: str | None = None,
    head: str | None = None,
    data: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    cache: str | Path | None = "default",
    progress: Progress | None = None,
) -> Conversion:
    """Convert a model for one or several targets.

    Args:
        source: a card, an `.onnx`, a `.pt2`, weights (with a card or `overrides={"factory": …}`), or a live module.
        target: names, aliases, or paths of target files.
        output: the bundle's path, or the folder it is put into as NAME-VERSION.edgebundle.
        precision: `fp32` or `fp16`; None for each target's default.
        data: a folder of pictures on which parity is measured; drawn ones otherwise.
        cache: folder of finished steps; None repeats everything.
        progress: called with a line of text at every step.

    Raises:
        InputError: the model, card or target is wrong.
        ConversionError: no runtime of a target can have this model, or none gives the source's answers.
        MissingExtra: a converter's package is not installed.
        NoSpace: the disk is full.
    """
    say: Progress = progress or (lambda _line: None)
    targets = _find_targets([target] if isinstance(target, str) else target)
    wanted = _precision(precision)
    ways = {t.name: routes(t, from_onnx=False, precision=wanted) for t in targets}  # refuse before loading anything
    say("loading the model")
    model = resolve_source(source, card=card, overrides=overrides, head=head)
    if model.is_onnx:
        ways = {t.name: routes(t, from_onnx=True, precision=wanted) for t in targets}
    path = _bundle_path(Path(output), model)
    reference = open_reference(model)
    _check_answers(model, reference)
    pictures = parity_pictures(_picture_size(model), Path(data) if data else None)
    folder = default_folder() if cache == "default" else Path(cache) if cache is not None else None
    workshop = Workshop(model, reference, StepCache(folder), say)
    built = [_first_that_works(t, ways[t.name], model, reference, workshop, pictures, say) for t in targets]
    return _write(path, model, reference, built, pictures_given=data is not None)


def _check_answers(source: Source, reference: Reference) -> None:
    """Check, before anything is built, that a device will be able to decode the model's outputs.

    Raises:
        InputError: outputs, labels or states do not fit what the card says.
    """
    card = source.card
    try:
        check_states(card.state, reference.inputs, reference.outputs)
    except ValueError as error:
        raise InputError(f"The card's {error}.", hint="Correct `state` in the card.") from error
    carried = {state.output for state in card.state}
    outputs = tuple(spec for spec in reference.outputs if spec.name not in carried)
    size = card.preprocess.size if card.preprocess else None
    Decoder(card.task, card.postprocess, source.card_file.labels, outputs, size)


def _first_that_works(
    target: Target,
    ways: Iterable[Route],
    source: Source,
    reference: Reference,
    workshop: Workshop,
    pictures: Sequence[Array],
    say: Progress,
) -> tuple[Variant, Artifact]:
    refused: list[str] = []
    errors: list[EdgeError] = []
    for route in ways:
        try:
            say(f"{target.name}: {' → '.join(route.steps) or route.runtime.value}")
            artifact = workshop.build(route)
            _check_size(target, artifact)
            return _proven(target, route, source, reference, artifact, pictures, refused), artifact
        except (StepFailed, ParityError, SessionFailed) as error:
            errors.append(error)
            refused.append(f"{route.runtime.value} not taken: {error.message}")
            say(refused[-1])
    # Built everywhere and different everywhere is a gate that failed, and has its own exit code.
    kind = ParityError if all(isinstance(error, ParityError) for error in errors) else ConversionError
    raise kind(
        f"{source.card.name} cannot be converted for {target.name}: {'; '.join(refused)}",
        hint="Change the model as said, or choose another target or --precision.",
    )


def _check_size(target: Target, artifact: Artifact) -> None:
    size = sum(len(data) for data in artifact.files.values())
    if size > target.max_bundle_bytes:
        raise StepFailed(
            f"its files are {size} bytes, {target.name} takes {int(target.max_bundle_bytes)}.",
            hint="Use --precision fp16, or a smaller model.",
        )


def _proven(
    target: Target,
    route: Route,
    source: Source,
    reference: Reference,
    artifact: Artifact,
    pictures: Sequence[Array],
    refused: Sequence[str],
) -> Variant:
    """Compare the artifact with the source and describe it as a variant.

    Raises:
        ParityError: it answers differently.
    """
    variant = Variant(
        id=f"{target.name}-{route.runtime.value}-{route.precision.value}",
        target=target.name,
        runtime=route.runtime,
        precision=route.precision,
        effective_precision=artifact.effective_precision,
        files={role: role for role in artifact.files},
        inputs=artifact.inputs,
        outputs=artifact.outputs,
        folded=artifact.folded,
        notes=(*refused, *artifact.notes),
    )
    runtime = runtime_here(route.runtime)
    if runtime is None:
        note = f"not compared: {route.runtime.value} is not installed here"
        return variant.model_copy(update={"notes": (*variant.notes, note)})
    parity = compare(reference, source.card, artifact, variant, runtime, pictures)
    report = {**parity.to_json(), "runtime": runtime.value}
    if not parity.passed:
        worst = parity.worst
        raise ParityError(
            f"{variant.id} answers differently from the source: {worst.name} has {worst.sqnr_db:.1f} dB "
            f"(at least {parity.limit_db:g}), worst difference {worst.max_abs:.3g}.",
            hint="Choose --precision fp32, or another target.",
        )
    return variant.model_copy(update={"parity": report, "status": _status(target, route.runtime, runtime)})


def _status(target: Target, runtime: Runtime, used: Runtime) -> Status:
    """Say on what the variant has run; never more than is true."""
    if used is not runtime:
        return "built only"
    host = this_host()
    same_kind = target.name in _THIS_KIND and target.arch in {host.arch, "any"}
    return "measured" if same_kind or target.name == host.target else "simulated"


def _write(
    path: Path, source: Source, reference: Reference, built: Sequence[tuple[Variant, Artifact]], *, pictures_given: bool
) -> Conversion:
    files: dict[str, bytes] = {}
    variants: list[Variant] = []
    for variant, artifact in built:
        places = {role: _place(files, variant.id, role, variant.runtime, data) for role, data in artifact.files.items()}
        variants.append(variant.model_copy(update={"files": places}))
    sizes = {v.id: sum(len(files[p]) for p in set(v.files.values())) for v in variants}
    files["provenance.json"] = _json(provenance(source, variants))
    reports = {v.id: v.parity for v in variants}
    files["reports/parity.json"] = _json({"pictures": "given" if pictures_given else "drawn", "variants": reports})
    card = source.card
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
        variants=tuple(variants),
        files={name: {"sha256": "0" * 64, "size": 0} for name in files},
    )
    digest = write_bundle(path, manifest, files)
    return Conversion(path, digest, tuple(variants), sizes, source.card_file.warnings)


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


def _find_targets(names: Iterable[str]) -> list[Target]:
    found: dict[str, Target] = {}
    for name in names:
        target = find_target(name)
        found[target.name] = target
    if not found:
        raise InputError("No target is given.", hint="Name one: --target rpi5 (see `edgesdk targets`).")
    return list(found.values())


def _precision(name: str | None) -> Precision | None:
    if name is None:
        return None
    try:
        return Precision(name)
    except ValueError as error:
        choices = ", ".join(p.value for p in Precision)
        raise InputError(f"Unknown precision {name!r}.", hint=f"One of: {choices}.") from error


def _bundle_path(output: Path, source: Source) -> Path:
    if output.suffix == SUFFIX:
        return output
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file and no bundle.", hint=f"Give a folder, or a name ending in {SUFFIX}.")
    return output / f"{source.card.name}-{source.card.version}{SUFFIX}"


def _picture_size(source: Source) -> tuple[int, int]:
    return source.card.preprocess.size if source.card.preprocess else (64, 64)


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
