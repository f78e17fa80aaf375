"""Does a variant give the golden answers here? Stage by stage, so that a failure has a place.

Each stage is fed with what the stage before should have given, not with what it gave: so the first stage that is named is the one
that differs, and not one that suffers from it. The last stage is the production path from the picture to the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.golden.exact_input import digest_of, exact_pixels, pixels_of
from edgesdk_targets.golden.expected_result import expected_from
from edgesdk_targets.golden.golden_file import GoldenVariant, read_golden, read_member
from edgesdk_targets.golden.output_sample import Mark, near_to, take
from edgesdk_targets.golden.report import STAGES, GoldenReport, Stage, StageReport
from edgesdk_targets.golden.result_distance import difference
from edgesdk_targets.golden.staged_run import Meaning, StagedRun
from edgesdk_targets.model import Model
from edgesdk_targets.preprocess.image_file import decode_image
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array
from edgesdk_targets.window import panned_clip

# OpenCV rounds single pixels up or down; a whole picture that is darker or brighter is another mean.
_MEAN_OFF = 0.6
_CAMERA = "golden"


def check_golden(bundle: Bundle, model: Model) -> GoldenReport:
    """Compare a loaded variant's answers to the golden pictures with those of when it was built.

    Args:
        bundle: which `model` was loaded from, still open.
        model: used by nobody else meanwhile; the recurrent state of all its cameras is forgotten.

    Raises:
        BadBundle: the bundle has no golden set, or a damaged one.
        SessionFailed: the runtime failed.
    """
    check = _Check(bundle, model, read_golden(bundle, model.variant.id))
    return check.report()


class _Check:
    def __init__(self, bundle: Bundle, model: Model, kept: GoldenVariant) -> None:
        self._bundle = bundle
        self._model = model
        self._kept = kept
        self._golden = kept.golden
        manifest = model.manifest
        self._meaning = Meaning(
            manifest.task,
            manifest.preprocess,
            manifest.postprocess,
            manifest.labels,
            manifest.state,
            manifest.window,
            manifest.own_preprocess,
        )
        self._failed: dict[Stage, list[int]] = {stage: [] for stage in STAGES}
        self._worst: dict[Stage, str] = {}
        self._reached: set[Stage] = set()
        self._values: dict[int, Array] = {}

    def report(self) -> GoldenReport:
        session, variant = self._model.session, self._model.variant
        staged = StagedRun(
            session.run,
            session.inputs,
            session.outputs,
            self._meaning,
            folded=variant.folded,
            together=variant.together,
        )
        images = self._images()
        for number, image in enumerate(images):
            if image is not None:
                self._infer(number, image, staged)
        self._judge_values()
        slot = self._model.slots(1)[0]
        for number, image in enumerate(images):
            if image is None:
                continue
            self._model.reset()
            self._reach("end to end")
            for frame, shown in enumerate(self._shown(image)):
                slot.prepare(shown)
                result = slot.infer(_CAMERA, frame)
            if result is None:
                self._fail("end to end", number, f"there is no answer after {self._golden.frames} frames")
            else:
                self._judge_result("end to end", number, result)
        self._model.reset()
        return GoldenReport(
            variant=variant.id,
            runtime=self._model.runtime.value,
            precision=variant.precision.value,
            pictures=len(images),
            answered_by=self._kept.answers.answered_by,
            stages=tuple(
                StageReport(s, s in self._reached, tuple(self._failed[s]), self._worst.get(s, "")) for s in STAGES
            ),
        )

    def _images(self) -> list[Array | None]:
        """Decode the golden pictures; None where the pixels are not those of when the bundle was made."""
        images: list[Array | None] = []
        self._reach("decode image")
        for number, picture in enumerate(self._golden.pictures):
            data = read_member(self._bundle, picture.file)
            try:
                image: Array | None = decode_image(data, name=picture.file)
            except InputError as error:
                image = None
                self._fail("decode image", number, error.message)
            if image is not None and digest_of(image) != picture.pixels:
                image = None
                self._fail("decode image", number, f"{picture.file} has other pixels")
            images.append(image)
        return images

    def _shown(self, image: Array) -> list[Array]:
        """Return the frames that a golden answer belongs to: the picture, as often as it is shown, or a clip made of it."""
        frames = self._golden.frames
        return [image] * frames if self._meaning.window is None else panned_clip(image, frames)

    def _infer(self, number: int, image: Array, staged: StagedRun) -> None:
        made_with = self._golden.preprocess
        self._reach("preprocess")
        if self._meaning.window is None:
            pixels = first = exact_pixels(image, made_with)
        else:
            pixels = np.stack([exact_pixels(shown, made_with) for shown in self._shown(image)])
            first = pixels[0]
        own = {one.tensor.name: exact_pixels(image, one.preprocess) for one in staged.own}
        golden = self._golden.pictures[number]
        seen = {name: digest_of(one) for name, one in own.items()}
        if digest_of(pixels) != golden.prepared or seen != (golden.own or {}):
            self._fail("preprocess", number, "this edgesdk places the picture otherwise than the one that converted")
            return
        prepared = staged.image.empty()
        self._model.new_preprocessor().into(image, prepared)
        self._prepare(number, first, pixels_of(prepared, made_with, staged.image, folded=staged.folded))
        for one in staged.own:
            prepared = one.tensor.empty()
            self._model.preprocessor_of(one).into(image, prepared)
            found = pixels_of(prepared, one.preprocess, one.tensor, folded=one.folded)
            self._prepare(number, own[one.tensor.name], found)
        self._reach("inference")
        outputs, result = staged.answer(pixels, made_with, (image.shape[0], image.shape[1]), self._golden.frames, own)
        values = take(outputs, self._golden.groups, self._golden.counts, self._kept.index[number])
        if values is None:
            self._fail("inference", number, "an output is smaller than when it was built")
        else:
            self._values[number] = values
        self._reach("postprocess")
        self._judge_result("postprocess", number, result)

    def _prepare(self, number: int, pixels: Array, prepared: Array) -> None:
        """Judge what the device's own preprocessing made of a picture by the exact pixels."""
        off = np.abs(prepared - pixels)
        worst, mean = float(off.max()), float(off.mean())
        # A little more than whole grey levels: half precision holds pixels to an eighth of one.
        if not worst <= self._golden.prepare_off + 0.25 or not mean <= _MEAN_OFF:
            text = f"up to {worst:.1f} grey levels off, {mean:.2f} on average; {self._golden.prepare_off:g} are allowed"
            self._fail("preprocess", number, text)

    def _judge_values(self) -> None:
        """Compare the outputs of all pictures, group by group."""
        if not self._values:
            return
        numbers = sorted(self._values)
        got = np.stack([self._values[number] for number in numbers])
        nearest: list[tuple[float, str]] = []
        start = 0
        for group, count in zip(self._golden.groups, self._golden.counts, strict=True):
            part = slice(start, start + count)
            start += count
            margins, told, far = near_to(self._marks(group.name, numbers, part), got[:, part])
            for at in np.flatnonzero(far):
                self._fail("inference", numbers[at], f"{group.name} has {told[at]}")
            worst = int(margins.argmin())
            nearest.append((float(margins[worst]), f"{group.name} has {told[worst]}"))
        if nearest and not self._failed["inference"]:
            self._worst["inference"] = min(nearest)[1]

    def _marks(self, group: str, numbers: Sequence[int], part: slice) -> list[Mark]:
        """Return what a group may be near to: the variant's own answers, or its source's as near as it was itself."""
        answers = self._kept.answers
        marks = [Mark(self._kept.values[numbers][:, part], answers.limits[group])]
        if self._kept.source is not None:
            marks.append(Mark(self._kept.source[numbers][:, part], answers.source_limits[group], " to its source"))
        return marks

    def _judge_result(self, stage: Stage, number: int, result: Result) -> None:
        answers = self._kept.answers
        try:
            got = expected_from(result)
        except ValidationError:
            self._fail(stage, number, "the answer holds numbers that are not finite")
            return
        why = difference(answers.results[number], got, answers.tolerances[number], self._golden.postprocess)
        if why is not None:
            self._fail(stage, number, why)

    def _reach(self, stage: Stage) -> None:
        self._reached.add(stage)

    def _fail(self, stage: Stage, number: int, why: str) -> None:
        if not self._failed[stage]:
            self._worst[stage] = f"picture {number}: {why}"
        if number not in self._failed[stage]:
            self._failed[stage].append(number)
