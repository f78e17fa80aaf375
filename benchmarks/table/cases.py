"""The models of the table: where each one's card is, what it is calibrated on, and how it is judged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_targets.card import read_card
from table import figures
from table.asset_pictures import write_calibration
from table.figures import Exam
from table.sample_pictures import rendered, write_words

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/digits"
REAL_MODELS = ROOT / "tests/real/models"
# Family → the target whose chain begins with its runtime.
FAMILIES = {
    "ONNX Runtime": "generic-onnx",
    "OpenVINO": "x86-cpu",
    "LiteRT": "rpi5",
    "TensorRT": "jetson-orin-nano",
}
PRECISIONS = ("fp32", "fp16", "int8")
_ONE_WORD = 0.004  # a letter or two of all that the reader is judged on, as a fraction: one word read otherwise


@dataclass(frozen=True, slots=True)
class Places:
    """Folders that are used.

    Attributes:
        assets: real weights and pictures; None where there are none.
        scratch: for what is rendered and converted; kept between runs.
        every: judge on one picture in so many.
    """

    assets: Path | None
    scratch: Path
    every: int = 1

    @property
    def own(self) -> Path:
        """Of this kind of run: a quick one leaves alone what a whole one has built and measured."""
        return self.scratch / ("whole" if self.every == 1 else f"every-{self.every}")


@dataclass(frozen=True, slots=True)
class Case:
    """One model.

    Attributes:
        card, calibration, exam: made when they are needed.
        emulated_exam: few pictures, for a slow emulated board; None where the model is not tried there.
        may_differ: by target, what the INT8 artifact may differ from float, as a fraction, where that is not what is usual
            for the task but as much as was asked (`bounds`).
    """

    name: str
    card: Callable[[Places], Path]
    calibration: Callable[[Places], Path]
    exam: Callable[[Places], Exam]
    from_assets: bool
    emulated_exam: Callable[[Places], Exam] | None = None
    may_differ: Mapping[str, float] = field(default_factory=dict)


def cases() -> tuple[Case, ...]:
    """Return all models, the real ones first."""
    return (
        _real(
            "mobilenet_v2",
            lambda p: _imagenet_exam(p, p.every),
            emulated=lambda p: _imagenet_exam(p, 30),
            may_differ={FAMILIES["LiteRT"]: 0.09},
        ),
        _real("vww_mobilenet_v1", lambda p: figures.classes_exam(_assets(p), figures.person_labels, p.every)),
        _real("resnet20", lambda p: figures.classes_exam(_assets(p), figures.cifar_labels, p.every)),
        _real(
            "fastestdet",
            lambda p: _coco_exam(p, p.every),
            emulated=lambda p: _coco_exam(p, 4),
            may_differ={
                FAMILIES[name]: 0.06 for name in ("LiteRT", "TensorRT")
            },  # a point of room: these are at the limit
        ),
        _real("ultraface", lambda p: figures.boxes_exam(_assets(p), None, p.every, frames=True)),
        _real(
            "crnn_reader",
            lambda p: figures.words_exam(_assets(p), p.every),
            _words,
            may_differ=dict.fromkeys(FAMILIES.values(), _ONE_WORD),
        ),
        _sample(
            "classifier",
            lambda p: figures.digits_exam(EXAMPLES, p.every),
            emulated=lambda _: figures.digits_exam(EXAMPLES, 1, only_unseen=True),
        ),
        _sample("detector", lambda p: _detector_exam(p, p.every), emulated=lambda p: _detector_exam(p, 10)),
        _sample("row_reader", lambda p: _rows_exam(p, p.every), emulated=lambda p: _rows_exam(p, 5)),
    )


def _real(
    name: str,
    exam: Callable[[Places], Exam],
    calibration: Callable[[Places], Path] | None = None,
    emulated: Callable[[Places], Exam] | None = None,
    may_differ: Mapping[str, float] | None = None,
) -> Case:
    def card(places: Places) -> Path:
        if str(REAL_MODELS) not in sys.path:
            sys.path.insert(0, str(REAL_MODELS))
        from real_models import card_for  # type: ignore[import-not-found,unused-ignore]

        made: Path = card_for(name, _assets(places), places.scratch / "cards" / name)
        return made

    return Case(name, card, calibration or _frames, exam, True, emulated, may_differ or {})


def _sample(name: str, exam: Callable[[Places], Exam], emulated: Callable[[Places], Exam]) -> Case:
    def calibration(places: Places) -> Path:
        folder = places.scratch / "calibration" / name
        return rendered(EXAMPLES, name, folder, count=200, split="train", seed=7)

    def card(_places: Places) -> Path:
        return EXAMPLES / f"{name}.yaml"

    return Case(f"digits_{name}", card, calibration, exam, from_assets=False, emulated_exam=emulated)


def _imagenet_exam(places: Places, every: int) -> Exam:
    return figures.classes_exam(_assets(places), figures.imagenet_labels, every)


def _coco_exam(places: Places, every: int) -> Exam:
    return figures.boxes_exam(_assets(places), _coco_labels(places), every, frames=False)


def _detector_exam(places: Places, every: int) -> Exam:
    labels = read_card(EXAMPLES / "detector.yaml").labels
    return figures.rendered_boxes_exam(_judged_on(places, "detector", 60), labels, every)


def _rows_exam(places: Places, every: int) -> Exam:
    return figures.rows_exam(_judged_on(places, "row_reader", 200), every)


def _judged_on(places: Places, name: str, count: int) -> Path:
    return rendered(EXAMPLES, name, places.scratch / "judged" / name, count=count, split="test", seed=100)


def _frames(places: Places) -> Path:
    return write_calibration(_assets(places), places.scratch / "calibration/frames")


def _words(places: Places) -> Path:
    return write_words(places.scratch / "calibration/words")


def _coco_labels(places: Places) -> tuple[str, ...]:
    text = (_assets(places) / "detection_coco/coco80.names").read_text("utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _assets(places: Places) -> Path:
    if places.assets is None:
        raise SystemExit("the folder of real weights is needed (EDGESDK_ASSETS)")
    return places.assets
