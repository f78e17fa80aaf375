"""Convert a trained model for one or several targets into one bundle.

For each target the first runtime of its chain for which a way works is built; the artifact is compared with the source,
and judged by the gate where there is one, before it is accepted. An INT8 artifact that is not good enough is tried again
with more of it in float. The bundle is written whole, at the end, or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_converters.cache import StepCache, default_folder
from edgesdk_converters.conversion import Conversion
from edgesdk_converters.families.build import build
from edgesdk_converters.golden.golden_set import golden_files_of
from edgesdk_converters.jobs import Job, check_calibration, find_targets, jobs_for, precisions_named
from edgesdk_converters.packing import Built, bundle_path, write
from edgesdk_converters.proving.gate import Gate
from edgesdk_converters.proving.parity_pictures import parity_pictures, pictures_below
from edgesdk_converters.proving.proof import Proof
from edgesdk_converters.reference import Reference, open_reference
from edgesdk_converters.routes import QUANTISED
from edgesdk_converters.several import check_batch, in_batches
from edgesdk_converters.source import Source, resolve_source
from edgesdk_converters.workshop import Progress, Workshop
from edgesdk_targets.card import ModelCard
from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.errors import (
    ConversionError,
    EdgeError,
    GateFailed,
    InputError,
    ParityError,
    SessionFailed,
    StepFailed,
)
from edgesdk_targets.state import check_states
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    import torch

    from edgesdk_converters.int8.calibrating import Calibrating
    from edgesdk_converters.int8.quantising import Quantiser
    from edgesdk_targets.bundle.manifest import Variant

# Makes the gate once it is known what the model is: (card, labels, calibration pictures or None) → the gate, and the
# files of the pictures it judges by. It is asked before the calibration where there are data of their own, else after it.
GateMaker = Callable[[ModelCard, tuple[str, ...], "Calibrating | None"], tuple["Gate | None", Sequence[Path]]]


def convert(
    source: str | Path | torch.nn.Module,
    target: str | Sequence[str],
    *,
    output: str | Path = ".",
    card: str | Path | Mapping[str, Any] | None = None,
    precision: str | Sequence[str] | None = None,
    head: str | None = None,
    data: str | Path | None = None,
    calib_data: Any = None,
    calib_count: int = 300,
    keep_float: Sequence[str] = (),
    tune: bool = True,
    gate: GateMaker | None = None,
    explain: bool = False,
    batch: int = 1,
    history: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    cache: str | Path | None = "default",
    progress: Progress | None = None,
) -> Conversion:
    """Convert a model for one or several targets.

    Args:
        source: a card, an `.onnx`, a `.pt2`, weights (with a card or `overrides={"factory": …}`), or a live module.
        target: names, aliases, or paths of target files.
        output: the bundle's path, or the folder it is put into as NAME-VERSION.edgebundle.
        precision: `fp32`, `fp16`, `int8` or `mixed`, one or several, each a variant of its own; None for each target's
            default, or for INT8 where it passes and is not slower, if `calib_data` is given.
        data: a folder of pictures on which parity is measured; the calibration pictures, or drawn ones, otherwise.
        calib_data: pictures on which INT8 ranges are measured: a folder, a video, an `.npy`, or pictures themselves.
        calib_count: how many of them are chosen.
        keep_float: patterns of names of ONNX nodes that INT8 leaves in float.
        tune: where plain INT8 is not good enough, choose weights for 8 bits before keeping layers in float.
        gate: makes the judge of accuracy.
        explain: measure what each layer costs when it is quantised.
        batch: pictures of one inference; one alone then costs as much as so many.
        history: what was done to the model before, for the bundle's provenance.
        cache: folder of finished steps; None repeats everything.
        progress: called with a line of text at every step.

    Raises:
        InputError: the model, card, data or target is wrong.
        ConversionError: no runtime of a target can have this model, or none gives the source's answers.
        GateFailed: every runtime's artifact loses more accuracy than the gate allows.
        MissingExtra: a converter's package is not installed.
        NoSpace: the disk is full.
    """
    say: Progress = progress or (lambda _line: None)
    targets = find_targets([target] if isinstance(target, str) else target)
    wanted = precisions_named(precision)
    check_calibration(wanted, calib_data, explain=explain)
    check_batch(batch, quantised=calib_data is not None)
    jobs_for(targets, wanted, from_onnx=False, calibrated=calib_data is not None)  # refuse before loading anything
    say("loading the model")
    model = resolve_source(source, card=card, overrides=overrides, head=head)
    path = bundle_path(Path(output), model.card.name, model.card.version)
    reference = open_reference(model)
    _check_answers(model, reference)
    folder = default_folder() if cache == "default" else Path(cache) if cache is not None else None
    built_from = in_batches(model, reference, batch) if batch > 1 else (model, reference)
    workshop = Workshop(*built_from, StepCache(folder), say)
    jobs = jobs_for(targets, wanted, from_onnx=model.is_onnx, calibrated=calib_data is not None)
    with tempfile.TemporaryDirectory(prefix="edgesdk-calibration-") as scratch:
        calibrating = quantiser = judge = None
        files: Sequence[Path] = pictures_below(Path(data)) if data and not gate else ()
        if gate and data is not None:
            judge, files = gate(model.card, model.card_file.labels, None)
        if calib_data is not None and model.card.window is None:
            from edgesdk_converters.int8.calibrating import calibrate
            from edgesdk_converters.int8.quantising import Quantiser

            calibrating = calibrate(
                calib_data, calib_count, model, reference, workshop, Path(scratch), evaluation=files, say=say
            )
            quantiser = Quantiser(workshop, calibrating, keep_float, say, tune=tune)
        if gate and data is None:
            judge, _ = gate(model.card, model.card_file.labels, calibrating)
        if model.card.window is not None and (judge or calib_data is not None):
            raise InputError(
                f"{model.card.name} takes clips; INT8 and the accuracy gate know single pictures only.",
                hint="Convert it to fp32 or fp16, without calibration pictures and labelled data.",
            )
        proof = Proof(model, reference, _pictures(model, files, calibrating), judge, say, batch=batch)
        built: list[Built] = []
        for job in jobs:
            made = _first_that_works(job, workshop, quantiser, proof, say)
            if all(made[0].id != variant.id for variant, _ in built):
                built.append(made)
        warnings = [line for part in (calibrating, judge, quantiser) if part for line in part.warnings]
        layers = _layers(quantiser) if quantiser and explain else []
        say("golden set")
        return write(
            path,
            model,
            reference,
            built,
            reports=_reports(built, layers, "given" if files else "calibration" if calibrating else "drawn"),
            golden=golden_files_of(proof, built),
            sensitivity=layers,
            calibration=calibrating.record if calibrating else None,
            warnings=warnings,
            history=history,
        )


def _check_answers(source: Source, reference: Reference) -> None:
    """Check, before anything is built, that a device will be able to decode the model's outputs.

    Raises:
        InputError: outputs, labels or states do not fit what the card says, or an answer is no number.
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
    answer = reference.run({spec.name: np.full(spec.shape, 0.5).astype(spec.numpy_dtype) for spec in reference.inputs})
    if broken := [name for name, array in answer.items() if array.dtype.kind == "f" and np.isnan(array).any()]:
        raise InputError(
            f"The model's own answer {broken[0]!r} holds NaN, before anything was converted.",
            hint="Its weights are broken: `edgesdk check` names them. Export it again.",
        )


def _first_that_works(job: Job, workshop: Workshop, quantiser: Quantiser | None, proof: Proof, say: Progress) -> Built:
    refused: list[str] = []
    errors: list[EdgeError] = []
    for route in job.ways:
        try:
            say(f"{job.target.name}: {' → '.join(route.steps) or route.runtime.value}")
            if route.precision not in QUANTISED:
                artifact = build(workshop, route)
                return proof.prove(job.target, route, route.precision, artifact, refused), artifact
            assert quantiser is not None  # noqa: S101  (checked before anything was loaded)
            return quantiser.build(job.target, route, proof, refused, must_be_faster=job.if_faster)
        except (StepFailed, ParityError, GateFailed, SessionFailed) as error:
            errors.append(error)
            what = (
                f"{route.runtime.value} {route.precision.value}"
                if route.precision in QUANTISED
                else route.runtime.value
            )
            refused.append(f"{what} not taken: {error.message}")
            say(refused[-1])
    # Built everywhere and not good enough everywhere is a gate that failed, and has its own exit code.
    gates = (ParityError, GateFailed)
    kind = type(errors[-1]) if all(isinstance(error, gates) for error in errors) else ConversionError
    raise kind(
        f"{proof.source.card.name} cannot be converted for {job.target.name}: {'; '.join(refused)}",
        hint="Change the model as said, or choose another target or --precision.",
    )


def _layers(quantiser: Quantiser) -> list[dict[str, Any]]:
    """Return what each layer costs, ready for JSON; a tenth of a dB is all that is meant."""
    return [{**asdict(layer), "sqnr_db": round(layer.sqnr_db, 1)} for layer in quantiser.sensitivities()]


def _reports(built: Sequence[Built], layers: Sequence[Mapping[str, Any]], pictures: str) -> dict[str, object]:
    variants: list[Variant] = [variant for variant, _ in built]
    reports: dict[str, object] = {"parity": {"pictures": pictures, "variants": {v.id: v.parity for v in variants}}}
    if any(v.accuracy for v in variants):
        reports["accuracy"] = {v.id: v.accuracy for v in variants}
    if layers:
        reports["sensitivity"] = list(layers)
    return reports


def _pictures(source: Source, files: Sequence[Path], calibrating: Calibrating | None) -> list[Array]:
    if not files and calibrating is not None:
        return calibrating.some_pictures()
    size = source.card.preprocess.size if source.card.preprocess else (64, 64)
    return parity_pictures(size, files)
