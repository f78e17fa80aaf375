"""Two models in a row: a detector, and a model that is asked about what it found.

The second model sees crops of the picture, cut by a `CropRule`; a crop is a view of the picture, and is preprocessed straight
into the second model's memory. So the picture itself is needed until the inference is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from edgesdk_targets.calls import Calls, Picture, is_batch
from edgesdk_targets.crop import CropRule
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems, what_fits
from edgesdk_targets.model import Model
from edgesdk_targets.results import Chained, Classification, CropResult, Detections, Embedding, Regression, Text
from edgesdk_targets.slot import Slot
from edgesdk_targets.tensor import Array

AnyChain = TypeVar("AnyChain", bound="Chain")


class ChainSlot:
    """One preallocated input of a chain: a slot of the detector and one of the second model.

    Attributes:
        needs_image: the picture given to `prepare` has to stay as it is until `infer` returned.
    """

    needs_image = True

    def __init__(self, detector: Slot, then: Slot, rule: CropRule) -> None:
        self._detector = detector
        self._then = then
        self._rule = rule
        self.digest = detector.digest
        self._image: Array | None = None

    def prepare(self, image: Array) -> None:
        """Preprocess a picture, (H, W, 3) uint8 BGR, for the detector."""
        self._detector.prepare(image)
        self._image = image

    def infer(self, camera: str = "default", seq: int = 0) -> Chained:
        """Detect, and ask the second model about each detection that the rule chooses."""
        image, self._image = self._image, None
        found = self._detector.infer(camera, seq)
        assert isinstance(found, Detections)  # noqa: S101  (a chain begins with a detector)
        answers: list[CropResult | None] = [None] * len(found)
        for number in self._rule.chosen(found):
            assert image is not None  # noqa: S101  (prepared before)
            self._then.prepare(self._rule.crop(image, found.boxes[number]))
            answer = self._then.infer(camera, seq)
            assert isinstance(answer, (Classification, Text, Embedding, Regression))  # noqa: S101  (no second detector)
            answers[number] = answer
        return Chained(found, tuple(answers))


class Chain:
    """A detector and a model for what it finds, used as one model.

    It says of itself what its detector says (`manifest`, `digest`, `variant`, `runtime`, `choice`), and closes both.

    Args:
        detector: task `detect`, on single pictures; it may have recurrent state.
        then: task `classify`, `text`, `embed` or `regress`, without recurrent state or window: crops of one picture are no stream.
        rule: the fields of `CropRule`: `classes`, `max_crops`, `margin`, `square`, `min_px`.

    Raises:
        InputError: the models cannot be chained, or a field of the rule is wrong.

    Attributes:
        on_caller, starts_ahead: as of a model; a lane waits for one model and then for the other.
    """

    on_caller = False
    starts_ahead = False

    def __init__(self, detector: Model, then: Model, **rule: Any) -> None:
        self.rule = _checked(rule, detector)
        _check_tasks(detector, then)
        self.detector = detector
        self.then = then
        self.manifest = detector.manifest
        self.digest = detector.digest
        self.variant = detector.variant
        self.runtime = detector.runtime
        self.choice = detector.choice
        self._calls: Calls[Chained] = Calls(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.detector!r} then {self.then!r}>"

    @property
    def lanes(self) -> int:
        """How many slots may infer at the same time."""
        return min(self.detector.lanes, self.then.lanes)

    @overload
    # A path is a sequence of texts as well: it means one picture.
    def __call__(self, image: Picture, *, camera: str = ...) -> Chained: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, image: Sequence[Picture], *, camera: str = ...) -> list[Chained]: ...

    def __call__(self, image: Picture | Sequence[Picture], *, camera: str = "default") -> Chained | list[Chained]:
        """Answer for one picture, or for several; as `Model.__call__`.

        Raises:
            InputError: a picture cannot be used.
            SessionFailed: a runtime failed.
        """
        if is_batch(image):
            return self._calls.each(image, camera)  # type: ignore[arg-type]  # told apart by what it is
        return self._calls.one(image, camera)  # type: ignore[arg-type]

    def slots(self, count: int) -> tuple[ChainSlot, ...]:
        """Preallocate `count` inputs, which a pipeline fills and infers by turns."""
        pairs = zip(self.detector.slots(count), self.then.slots(count), strict=True)
        return tuple(ChainSlot(detector, then, self.rule) for detector, then in pairs)

    def keep_weak(self, score: float) -> None:
        """As `Model.keep_weak`, of the detector; the second model is not asked about what is weak."""
        self.detector.keep_weak(score)

    @property
    def weak_from(self) -> float | None:
        """As `Model.weak_from`, of the detector."""
        return self.detector.weak_from

    def reset(self, camera: str | None = None) -> None:
        """Forget what the detector carries on from frame to frame, of one camera or of all."""
        self.detector.reset(camera)

    def claim_streams(self, owner: object, cameras: Collection[str]) -> None:
        """Note that a pipeline feeds these cameras' streams; as `Model.claim_streams`.

        Raises:
            InputError: another pipeline feeds one of them.
        """
        self.detector.claim_streams(owner, cameras)

    def release_streams(self, owner: object) -> None:
        """Note that a pipeline feeds no stream any more."""
        self.detector.release_streams(owner)

    def close(self) -> None:
        """Wait for the calls that are running, and close both models."""
        self._calls.close()
        self.detector.close()
        self.then.close()

    def __enter__(self: AnyChain) -> AnyChain:  # noqa: PYI019  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked(fields: dict[str, Any], detector: Model) -> CropRule:
    try:
        rule = CropRule.model_validate(fields)
    except ValidationError as error:
        problem = field_problems(CropRule, error)[0]
        hint = problem.hint or what_fits(CropRule, problem.path)
        raise InputError(f"A chain's {problem.sentence}", hint=hint) from error
    labels = detector.manifest.labels
    unknown = [name for name in rule.classes if labels and name not in labels]
    if unknown:
        raise InputError(
            f"{detector.manifest.name} has no class {unknown[0]!r}.", hint=f"Classes: {', '.join(labels[:20])}."
        )
    return rule


def _check_tasks(detector: Model, then: Model) -> None:
    if detector.manifest.task != "detect":
        raise InputError(
            f"A chain begins with a detector, and {detector.manifest.name} is for the task {detector.manifest.task!r}.",
            hint="Give the detector first.",
        )
    if detector.manifest.window is not None:
        raise InputError(
            f"{detector.manifest.name} takes clips, and its boxes belong to no one picture that could be cropped.",
            hint="Give a detector that takes single pictures.",
        )
    in_order = then.manifest.state or then.manifest.window is not None
    if then.manifest.task == "detect" or in_order:
        what = "goes from frame to frame" if in_order else "is a detector"
        raise InputError(
            f"{then.manifest.name} {what}, and cannot be asked about crops.",
            hint="Give a model for classify, text, embed or regress that takes single pictures.",
        )
