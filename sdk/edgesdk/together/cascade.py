"""Make a cascade: ask both models about labelled pictures, time them, choose the threshold, and write the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from edgesdk.benchmark.interleave import interleaved
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.evaluate.answers import Answers, collect, paths_of
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.groups import units_of
from edgesdk.layouts.samples import ClassSample
from edgesdk.together.doubt import Answered, AtBudget, Budget, Point, at, at_budgets, choose, curve, held_out
from edgesdk.together.members import Part, check_parts, largest_input, own_inputs, together_variants
from edgesdk.together.preparing import preparing_ms
from edgesdk.together.write import place_of, write_together
from edgesdk_converters.golden.golden_pictures import golden_pictures
from edgesdk_converters.proving.compare import runtime_here
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import InputError, SessionFailed, WrongTarget
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.image_file import decode_image, read_image
from edgesdk_targets.results import Classification
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array

# Golden answers are to be the same on every machine: no picture whose first answer lies so near to the threshold.
_STEADY = 0.02
_ASKED_FOR_GOLDEN = 32


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A variant's threshold, and what it rests on.

    Attributes:
        chosen: as measured on the pictures that it was chosen on.
        held_out: as measured on others; None where there are too few pictures.
        points: what other thresholds cost and give, on the pictures that the chosen one was chosen on.
        answered: what both models said to each picture.
        budgets: the cascade beside its members.
    """

    variant: str
    chosen: Point
    held_out: Point | None
    points: tuple[Point, ...]
    answered: Answered
    budgets: tuple[AtBudget, ...]

    @property
    def ms(self) -> tuple[float, float]:
        """Mean time of one inference, of each member."""
        return self.answered.ms

    @property
    def pictures(self) -> int:
        return len(self.answered.confidence)

    def to_json(self) -> dict[str, object]:
        first, second = self.points[0].accuracy, self.points[-1].accuracy
        return {
            "variant": self.variant,
            **self.chosen.to_json(),
            "held_out": self.held_out.to_json() if self.held_out else None,
            "pictures": self.pictures,
            "prepare_ms": float(f"{self.answered.prepare_ms:.4g}"),
            "members": [
                {"accuracy": round(value, 6), "ms": float(f"{ms:.4g}")}
                for value, ms in zip((first, second), self.ms, strict=True)
            ],
            "budgets": [one.to_json() for one in self.budgets],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Cascade:
    """A cascade that was written.

    Attributes:
        calibrated: by the variant's id, of those that could run here.
    """

    path: Path
    digest: str
    variants: tuple[Variant, ...]
    calibrated: Mapping[str, Calibrated]


def make_cascade(
    small: Part,
    large: Part,
    output: Path,
    data: Path,
    budget: Budget,
    *,
    target: str | None = None,
    name: str | None = None,
    version: str | None = None,
    threads: int = 1,
    rounds: int = 5,
    slice_s: float = 0.2,
    say: Callable[[str], None] = lambda _line: None,
) -> Cascade:
    """Write a bundle that asks `large` only where `small` is in doubt.

    Args:
        output: a `.edgebundle` file, or a folder.
        data: labelled pictures, by which the threshold is chosen.
        threads: of the inferences that are timed.

    Raises:
        InputError: the models do not go together, the budget cannot be kept, or the data do not fit.
        WrongTarget: none of the variants can run here.
        SessionFailed: a member does not run.
    """
    parts = (small, large)
    check_parts(parts)
    path, called, number = place_of(output, parts, "cascade", name, version)
    variants = together_variants(parts, "cascade", threshold=0.5, target=target)
    dataset = open_dataset(data, task="classify", labels=small.manifest.labels)
    asking = _Asking(dataset, threads, say)
    calibrated: dict[str, Calibrated] = {}
    confidences: list[tuple[Array, float]] = []
    for variant in variants:
        if runtime_here(variant.runtime) is None:
            continue
        answered = asking.both(parts, variant, rounds, slice_s)
        points = curve(answered)
        # Measured again: no threshold is above an answer that is sure to the last bit.
        chosen = at(answered, choose(points, budget).threshold)
        calibrated[variant.id] = Calibrated(
            variant.id, chosen, held_out(answered, budget), tuple(points), answered, tuple(at_budgets(answered))
        )
        confidences.append((answered.confidence, chosen.threshold))
    if not calibrated:
        raise WrongTarget(
            "None of the variants can run here, and a threshold is chosen by answers.",
            hint="Install one of their runtimes, or convert both models for generic-onnx too.",
        )
    settled = [_settled(variant, calibrated) for variant in variants]
    say("golden set")
    pictures = _golden_pictures(dataset, parts, confidences[0], next(v for v in variants if v.id in calibrated))
    report = {"rule": "cascade", "calibrated": [one.to_json() for one in calibrated.values()]}
    digest = write_together(path, called, number, parts, settled, pictures, report=report)
    return Cascade(path, digest, tuple(settled), calibrated)


class _Asking:
    """Asks members about the labelled pictures; each variant once."""

    def __init__(self, dataset: Dataset, threads: int, say: Callable[[str], None]) -> None:
        self._dataset = dataset
        self._threads = threads
        self._say = say
        self._known: dict[tuple[str, str], Answers] = {}

    def both(self, parts: Sequence[Part], variant: Variant, rounds: int, slice_s: float) -> Answered:
        together = variant.together
        assert together is not None  # noqa: S101  (a cascade)
        runtime = runtime_here(variant.runtime)
        names = [member.id for member in together.members]
        answers = [self._ask(part, name) for part, name in zip(parts, names, strict=True)]
        right = [self._right(one) for one in answers]
        units = units_of(answers[0].paths, answers[0].thumbnails, self._dataset.groups)
        if int(units.max()) == 0:
            raise InputError(
                "There is 1 independent picture only (frames of a clip count as one): no threshold can be chosen by it.",
                hint="Give some hundred labelled pictures, easy and hard ones.",
            )
        results = cast("tuple[Classification, ...]", answers[0].results)
        confidence = np.asarray([result.scores[0] for result in results], np.float64)
        ms = self._times(parts, names, runtime, rounds, slice_s)
        return Answered(confidence, right[0], right[1], units, ms, self._preparing_ms(parts, names[1]))

    def _ask(self, part: Part, variant_id: str) -> Answers:
        key = (part.bundle.digest, variant_id)
        if key not in self._known:
            options = SessionOptions(threads=self._threads)
            with load_model(part.bundle, variant=variant_id, options=options, probe=True) as model:
                self._known[key] = collect(
                    model,
                    paths_of(self._dataset),
                    lambda done, total: self._say(f"{part.manifest.name} {variant_id}: {done} of {total}"),
                )
        return self._known[key]

    def _right(self, answers: Answers) -> Array:
        samples = cast("tuple[ClassSample, ...]", self._dataset.samples)
        results = cast("tuple[Classification, ...]", answers.results)
        return np.asarray([int(r.class_ids[0]) in s.accepted for r, s in zip(results, samples, strict=True)])

    def _preparing_ms(self, parts: Sequence[Part], second: str) -> float:
        """Return what a picture takes to be prepared for the second model; nothing where it is handed the first one's pixels."""
        if not own_inputs(parts):
            return 0.0
        variant = next(v for v in parts[1].manifest.variants if v.id == second)
        return preparing_ms(parts[1], variant, [sample.path for sample in self._dataset.samples])

    def _times(
        self, parts: Sequence[Part], names: Sequence[str], runtime: Runtime | None, rounds: int, slice_s: float
    ) -> tuple[float, float]:
        subjects = []
        for role, part, name in zip(("first", "second"), parts, names, strict=True):
            variant = next(v for v in part.manifest.variants if v.id == name)
            subjects.append(bundle_subject(part.bundle, variant, runtime=runtime, name=role))
        race = interleaved(subjects, rounds=rounds, slice_s=slice_s, threads=self._threads, say=self._say)
        for role in race.failed:
            raise SessionFailed(
                f"The {role} model could not be timed: {race.failed[role]}", hint="Try `edgesdk benchmark` on it."
            )
        return race.contenders["first"].ms, race.contenders["second"].ms


def _settled(variant: Variant, calibrated: Mapping[str, Calibrated]) -> Variant:
    """Return a variant with its threshold; of one that cannot run here with the first one's."""
    together = variant.together
    assert together is not None  # noqa: S101  (a cascade)
    found = calibrated.get(variant.id) or next(iter(calibrated.values()))
    notes = () if variant.id in calibrated else (f"its threshold is that of {found.variant}: it cannot run here",)
    chosen = {"threshold": found.chosen.threshold, "share": found.chosen.share}
    return variant.model_copy(update={"together": together.model_copy(update=chosen), "notes": notes})


def _golden_pictures(
    dataset: Dataset, parts: Sequence[Part], sure: tuple[Array, float], variant: Variant
) -> list[bytes]:
    """Choose pictures of both ways, and keep those whose way a trifle does not change."""
    confidence, threshold = sure
    distance = np.abs(confidence - threshold)
    ways = [np.flatnonzero(confidence < threshold), np.flatnonzero(confidence >= threshold)]
    each = _ASKED_FOR_GOLDEN // 2
    chosen = [int(place) for way in ways for place in way[np.argsort(-distance[way], kind="stable")][:each]]
    # By turns, so that where fewer are taken, both ways are among them.
    half = len(ways[0][:each])
    order = [place for pair in zip(chosen[:half], chosen[half:], strict=False) for place in pair] or chosen
    images = [read_image(dataset.samples[place].path) for place in order]
    pngs = golden_pictures(images, largest_input(parts))
    together = variant.together
    assert together is not None  # noqa: S101  (a cascade)
    with load_model(parts[0].bundle, variant=together.members[0].id, probe=True) as model:
        answers = [cast("Classification", model(decode_image(png))) for png in pngs]
    off = [abs(float(answer.scores[0]) - threshold) for answer in answers]
    steady = [png for png, distance in zip(pngs, off, strict=True) if distance > _STEADY]
    return steady or [pngs[int(np.argmax(off))]]
