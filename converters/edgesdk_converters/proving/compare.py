"""Run an artifact beside its source on the same pictures.

Rule: a runtime may die of what a converter made, so it is tried in a process of its own first; this one lives, and the
next way is taken. What it answers is judged here, on pictures, and not by the probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.cache import default_folder
from edgesdk_converters.proving.parity import Parity, ParityMeter
from edgesdk_converters.quiet import quiet
from edgesdk_converters.reference import Reference
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import InputError
from edgesdk_targets.nvidia_driver import nvidia_driver
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.probe import ProbeLimits, probe, refusal, trial_of_files
from edgesdk_targets.probe_result import Outcome
from edgesdk_targets.session import SessionOptions, is_installed, open_files
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.window import panned_clip

_SEED = 20


# How a probe may end that this process would not survive.
_DEADLY = frozenset({Outcome.ILLEGAL_INSTRUCTION, Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.HANGS})
_LIMITS = ProbeLimits(phase_s=600.0, build_s=3600.0)


def runtime_here(runtime: Runtime) -> Runtime | None:
    """Return what can run a variant's file on this host: its own runtime, or ONNX Runtime for TensorRT's ONNX.

    TensorRT itself is asked only where there is a GPU: its package can be installed without.
    """
    if is_installed(runtime) and (runtime is not Runtime.TENSORRT or nvidia_driver()):
        return runtime
    if runtime is Runtime.TENSORRT and is_installed(Runtime.ONNXRUNTIME):
        return Runtime.ONNXRUNTIME
    return None


def compare(
    reference: Reference,
    card: ModelCard,
    artifact: Artifact,
    variant: Variant,
    runtime: Runtime,
    pictures: Sequence[Array],
) -> Parity:
    """Measure an artifact's parity on pictures.

    The state of a recurrent model is fed from the reference to both, so that each frame is judged by itself.

    Raises:
        InputError: the source itself answers NaN.
        SessionFailed: the runtime does not load or run the artifact, or dies of it.
    """
    _survive(reference, card, artifact, variant, runtime)
    with quiet("compare"):  # LiteRT greets on stderr
        session = open_files(artifact.files, variant, reference.inputs, reference.outputs, runtime=runtime)
    meter = ParityMeter(variant.precision, card.postprocess.head)
    states = {state.input: state.output for state in card.state}
    try:
        carried: dict[str, Array] = {}
        for wanted_feed, own_feed in _feeds(reference.inputs, session.inputs, card, artifact.folded, pictures):
            for feed in (wanted_feed, own_feed):
                feed.update(carried)
            wanted = reference.run(wanted_feed)
            _refuse_nan(wanted)
            meter.add(wanted, session.run(own_feed))
            carried = {name: wanted[output].copy() for name, output in states.items()}
    finally:
        session.close()
    return meter.result()


def _refuse_nan(answer: Mapping[str, Array]) -> None:
    """Nothing can be compared with it; and it is the source that is at fault, not the artifact."""
    if broken := [name for name, array in answer.items() if array.dtype.kind == "f" and np.isnan(array).any()]:
        raise InputError(
            f"The model's own answer {broken[0]!r} holds NaN for one of the pictures on which artifacts are compared with it.",
            hint="Check its weights and its preprocessing; with --data the pictures are yours.",
        )


def _survive(reference: Reference, card: ModelCard, artifact: Artifact, variant: Variant, runtime: Runtime) -> None:
    """Raise SessionFailed where the runtime crashes, hangs or takes all memory with this artifact."""
    trial = trial_of_files(
        artifact.files,
        variant,
        runtime,
        reference.inputs,
        reference.outputs,
        preprocess=card.preprocess,
        zeros=tuple(state.input for state in card.state),
    )
    result = probe(trial, options=SessionOptions(cache_dir=default_folder()), limits=_LIMITS)
    if result.outcome in _DEADLY:
        raise refusal(result)


def _feeds(
    reference: tuple[TensorSpec, ...],
    own: tuple[TensorSpec, ...],
    card: ModelCard,
    folded: bool,
    pictures: Sequence[Array],
) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
    rng = np.random.default_rng(_SEED)
    states = {state.input for state in card.state}
    prepare = {}
    # The picture is the input that is no state; a graph may list it anywhere.
    at = next((i for i, spec in enumerate(reference) if spec.name not in states), 0)
    window = card.window
    one = (lambda spec: spec) if window is None else window.frame_of
    if card.preprocess is not None:
        prepare = {
            "reference": Preprocessor(card.preprocess, one(reference[at])),
            "own": Preprocessor(card.preprocess, one(own[at]), folded=folded),
        }
    for picture in pictures:
        wanted = {spec.name: _fill(spec, rng, zero=spec.name in states) for spec in reference}
        got: dict[str, Array] = dict(wanted)
        if prepare:
            image = reference[at].name
            wanted[image], got[image] = reference[at].empty(), own[at].empty()
            for place, shown in enumerate([picture] if window is None else panned_clip(picture, window.frames)):
                for who, feed in (("reference", wanted), ("own", got)):
                    prepare[who].into(shown, feed[image] if window is None else window.place(feed[image], place))
        yield wanted, got


def _fill(spec: TensorSpec, rng: np.random.Generator, *, zero: bool) -> Array:
    if zero:
        return np.zeros(spec.shape, spec.numpy_dtype)
    values = rng.standard_normal(spec.shape)
    return (np.abs(values) * 50 if spec.dtype == "uint8" else values).astype(spec.numpy_dtype)
