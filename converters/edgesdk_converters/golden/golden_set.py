"""Make a bundle's golden set: pictures, what the model sees of them, and what source and artifacts answer.

How far a device may be from these answers is measured here: by how far the artifact is from its source, and by what happens to
its decoded answers when each pixel of its input changes by one grey level at most, as OpenCV's rounding does on another machine.
An artifact in INT8 may instead be as near to its source as it was here, at worst over all those trials: two programs that round
each layer's numbers otherwise may be farther from each other than either is from the float model.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.golden.golden_groups import groups_of
from edgesdk_converters.golden.golden_inputs import GoldenInput, golden_input
from edgesdk_converters.golden.golden_pictures import golden_pictures
from edgesdk_converters.golden.golden_tolerance import ROUNDED, limit_of, settle, source_limit_of
from edgesdk_converters.proving.compare import runtime_here
from edgesdk_converters.proving.proof import Proof
from edgesdk_converters.reference import Reference
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import ConversionError
from edgesdk_targets.golden.exact_input import digest_of
from edgesdk_targets.golden.expected_result import expected_from
from edgesdk_targets.golden.golden_file import FOLDER, INDEX, GoldenSet, Limit, Picture, VariantAnswers
from edgesdk_targets.golden.output_sample import choose, noise_db, part_of, take
from edgesdk_targets.golden.staged_run import Meaning, StagedRun
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.session import Session
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_targets.together.spec import Together

# A model with state sees each picture so often in a row, so that what it carries is compared as well.
FRAMES_WITH_STATE = 3


@dataclass(frozen=True, slots=True)
class GoldenModel:
    """The model that a golden set is made of.

    Attributes:
        reference: what artifacts are compared with.
        folded: the reference takes pixels.
        together: of a reference that is several models.
        preprocess: of `meaning`, which has one.
        pictures: PNG files.
        open: loads an artifact; the caller closes it.
    """

    reference: Reference | Session
    folded: bool
    meaning: Meaning
    preprocess: Preprocess
    pictures: Sequence[bytes]
    open: Callable[[Artifact, Variant, Runtime], Session]
    together: Together | None = None


def golden_files_of(proof: Proof, built: Sequence[tuple[Variant, Artifact]]) -> dict[str, bytes]:
    """Return the golden set of what was converted; none for a model that takes no picture. Raises as `golden_files`."""
    card = proof.source.card
    if card.preprocess is None:
        return {}
    labels = proof.source.card_file.labels
    meaning = Meaning(card.task, card.preprocess, card.postprocess, labels, card.state, card.window)
    pictures = golden_pictures(proof.pictures, card.preprocess.size)
    return golden_files(GoldenModel(proof.reference, False, meaning, card.preprocess, pictures, proof.open), built)


def golden_files(model: GoldenModel, built: Sequence[tuple[Variant, Artifact]]) -> dict[str, bytes]:
    """Return the golden set's files by their path in the bundle.

    Raises:
        ConversionError: the model's answer to a golden picture is not finite.
        SessionFailed: an artifact that ran a moment ago does not.
    """
    return _Maker(model).files(built)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one model said to all golden pictures.

    Attributes:
        index: (pictures, values) int32, which values of its raw outputs are kept.
        values: (trials, pictures, values) float32; the first trial is of the pictures themselves, then their changed pixels.
        results: `ExpectedResult`, one a picture.
        changed: the results to each picture's changed pixels.
    """

    index: Array
    values: Array
    results: list[Any]
    changed: list[list[Any]]


class _Maker:
    def __init__(self, model: GoldenModel) -> None:
        meaning = model.meaning
        self._open = model.open
        self._meaning = meaning
        self._preprocess = model.preprocess
        self._frames = meaning.window.frames if meaning.window else FRAMES_WITH_STATE if meaning.state else 1
        clip = self._frames if meaning.window else None
        own = meaning.own_preprocess
        self._asked = [golden_input(png, model.preprocess, seed, clip, own) for seed, png in enumerate(model.pictures)]
        self._groups = groups_of(model.reference.outputs, meaning.postprocess.head)
        blank = {spec.name: np.zeros(spec.shape) for spec in model.reference.outputs if not spec.dynamic}
        self._counts = tuple(len(choose(part_of(blank, group))) for group in self._groups)
        self._source = self._ask(model.reference, folded=model.folded, together=model.together)

    def files(self, built: Sequence[tuple[Variant, Artifact]]) -> dict[str, bytes]:
        """Ask every variant, and return all files."""
        names = [f"{FOLDER}/{number:02}.png" for number in range(len(self._asked))]
        files = {name: asked.png for name, asked in zip(names, self._asked, strict=True)}
        files[f"{FOLDER}/index.npy"] = _npy(self._source.index)
        source = f"{FOLDER}/source.npy" if any(variant.precision in ROUNDED for variant, _ in built) else None
        if source is not None:
            files[source] = _npy(self._source.values[0])
        golden = GoldenSet(
            schema="golden/1",
            preprocess=self._preprocess,
            postprocess=self._meaning.postprocess,
            frames=self._frames,
            prepare_off=1.0 + max(asked.opencv_off for asked in self._asked),
            pictures=tuple(
                Picture(
                    file=name,
                    pixels=digest_of(asked.image),
                    prepared=digest_of(asked.pixels),
                    reference=result,
                    own={place: digest_of(pixels) for place, pixels in asked.own_pixels().items()} or None,
                )
                for name, asked, result in zip(names, self._asked, self._source.results, strict=True)
            ),
            groups=self._groups,
            counts=self._counts,
            source=source,
            variants={variant.id: self._variant(variant, artifact, files) for variant, artifact in built},
        )
        files[INDEX] = golden.to_bytes()
        return files

    def _variant(self, variant: Variant, artifact: Artifact, files: dict[str, bytes]) -> VariantAnswers:
        """Ask one variant; its raw outputs go into `files`, once where targets share an artifact."""
        runtime = runtime_here(variant.runtime)
        source_limits: dict[str, Limit] = {}
        if runtime is None:
            # The artifact's own answers are not known yet: it has to come as near to the source as its precision can.
            answers = self._source
            limits = {group.name: limit_of(variant.precision, None) for group in self._groups}
        else:
            session = self._open(artifact, variant, runtime)
            try:
                answers = self._ask(session, self._source.index, folded=variant.folded, together=variant.together)
            finally:
                session.close()
            limits = self._limits(answers, lambda db: limit_of(variant.precision, db), trials=1)
            if variant.precision in ROUNDED:
                source_limits = self._limits(answers, lambda db: source_limit_of(variant.precision, db))
        settled = [
            settle(variant.precision, result, changed, self._pixel(asked))
            for result, changed, asked in zip(answers.results, answers.changed, self._asked, strict=True)
        ]
        data = _npy(answers.values[0])
        place = next((path for path, known in files.items() if known == data), f"{FOLDER}/{variant.id}.npy")
        files[place] = data
        return VariantAnswers(
            answered_by="source" if runtime is None else "artifact",
            runtime="source" if runtime is None else runtime.value,
            outputs=place,
            results=tuple(result for result, _ in settled),
            tolerances=tuple(tolerance for _, tolerance in settled),
            limits=limits,
            source_limits=source_limits,
        )

    def _ask(
        self, model: Reference | Session, index: Array | None = None, *, folded: bool, together: Together | None = None
    ) -> _Answers:
        """Ask a model all that there is to ask; without an `index` its own outputs say which of their values are kept."""
        staged = StagedRun(model.run, model.inputs, model.outputs, self._meaning, folded=folded, together=together)
        kept, values, results, changed = [], [], [], []
        for number, asked in enumerate(self._asked):
            outputs, result = self._answer(staged, asked, asked.pixels, asked.own_pixels())
            kept.append(self._chosen(outputs) if index is None else index[number])
            trials = [
                self._answer(staged, asked, pixels, asked.own_pixels(trial))
                for trial, pixels in enumerate(asked.changed)
            ]
            values.append([self._taken(raw, kept[-1]) for raw in (outputs, *(raw for raw, _ in trials))])
            results.append(result)
            changed.append([other for _, other in trials])
        return _Answers(np.stack(kept), np.stack(values, axis=1), results, changed)

    def _answer(
        self, staged: StagedRun, asked: GoldenInput, pixels: Array, own: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Any]:
        outputs, result = staged.answer(pixels, self._preprocess, asked.size, self._frames, own)
        try:
            return outputs, expected_from(result)
        except ValidationError as error:
            raise ConversionError(
                "The model answers a golden picture with numbers that are not finite.",
                hint="Look for overflow in the model; half precision ends at 65504.",
            ) from error

    def _chosen(self, outputs: Mapping[str, Array]) -> Array:
        parts = [choose(part_of(outputs, group)) for group in self._groups]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def _taken(self, outputs: Mapping[str, Array], index: Array) -> Array:
        values = take(outputs, self._groups, self._counts, index)
        if values is None or not np.isfinite(values).all():
            raise ConversionError(
                "An output to a golden picture is not finite, or smaller than the source's.",
                hint="Look for overflow in the model; half precision ends at 65504.",
            )
        return values

    def _limits(
        self, answers: _Answers, limit: Callable[[float], Limit], trials: int | None = None
    ) -> dict[str, Limit]:
        """Return each group's limit by how near a variant is to its source, at worst over so many trials; all of them otherwise."""
        wanted, got = (one.values[:trials].reshape(-1, one.values.shape[2]) for one in (self._source, answers))
        limits, start = {}, 0
        for group, count in zip(self._groups, self._counts, strict=True):
            part = slice(start, start + count)
            start += count
            limits[group.name] = limit(float(noise_db(wanted[:, part], got[:, part]).min()))
        return limits

    def _pixel(self, asked: GoldenInput) -> float:
        """Return how many pixels of the picture one pixel of the input is, at least one."""
        return max(1.0, *(a / b for a, b in zip(asked.size, self._preprocess.size, strict=True)))


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
