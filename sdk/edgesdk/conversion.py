"""Convert and prove: the converters, with a gate made of the user's data.

Labelled data give a gate on accuracy; pictures without labels, one on agreement with the float model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_converters.convert import convert as convert_ungated
from edgesdk_converters.proving.parity_pictures import pictures_below
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import torch

    from edgesdk_converters.artifact import Progress
    from edgesdk_converters.conversion import Conversion
    from edgesdk_converters.int8.calibrating import Calibrating
    from edgesdk_converters.proving.gate import Gate
    from edgesdk_targets.card import ModelCard
    from edgesdk_targets.tensor import Array

DEFAULT_MAX_DROP = 0.01
# Without labels, agreement is measured on so many of the calibration pictures.
_AGREEMENT_PICTURES = 100


def convert(
    source: str | Path | torch.nn.Module,
    target: str | Sequence[str],
    *,
    output: str | Path = ".",
    card: str | Path | Mapping[str, Any] | None = None,
    precision: str | Sequence[str] | None = None,
    head: str | None = None,
    data: str | Path | None = None,
    calib_data: str | Path | Iterable[Array] | None = None,
    calib_count: int = 300,
    max_drop: float | None = None,
    keep_float: Sequence[str] = (),
    explain: bool = False,
    report: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    cache: str | Path | None = "default",
    progress: Progress | None = None,
) -> Conversion:
    """Convert a model for one or several targets, each artifact proven before it is written.

    Args:
        source: a card, an `.onnx`, a `.pt2`, weights (with a card or `overrides={"factory": …}`), or a live module.
        target: names, aliases, or paths of target files.
        output: the bundle's path, or the folder it is put into as NAME-VERSION.edgebundle.
        precision: `fp32`, `fp16`, `int8` or `mixed`, one or several; None for each target's default.
        data: labelled pictures, on which accuracy is measured; or a folder of pictures without labels.
        calib_data: pictures on which INT8 ranges are measured: a folder, a video, an `.npy`, or pictures themselves.
        calib_count: how many of them are chosen.
        max_drop: how much accuracy an artifact may lose, as a fraction (0.01: one point).
        keep_float: patterns of names of ONNX nodes that INT8 leaves in float.
        explain: measure what each layer costs when it is quantised.
        report: an HTML file about the gate's findings; one artifact's name is added where there are several.

    Raises:
        InputError: the model, card, data or target is wrong.
        ConversionError: no runtime of a target can have this model, or none gives the source's answers.
        GateFailed: every runtime's artifact loses more accuracy than `max_drop`.
        MissingExtra: a converter's package is not installed.
        NoSpace: the disk is full.
    """
    if max_drop is not None and not 0 < max_drop < 1:
        raise InputError(f"max_drop is {max_drop:g}, and not between 0 and 1.", hint="One point is 0.01.")
    judging = _Judging(Path(data) if data else None, max_drop, Path(report) if report else None)

    return convert_ungated(
        source,
        target,
        output=output,
        card=card,
        precision=precision,
        head=head,
        data=data,
        calib_data=calib_data,
        calib_count=calib_count,
        keep_float=keep_float,
        gate=judging.gate,
        explain=explain,
        overrides=overrides,
        cache=cache,
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class _Judging:
    """How artifacts are judged, as far as it is known before the model is."""

    data: Path | None
    max_drop: float | None
    report: Path | None

    def gate(self, card: ModelCard, labels: tuple[str, ...], calibrating: Calibrating | None) -> Gate | None:
        """Return the gate for a model; None where there is nothing to judge it by."""
        from edgesdk.evaluate.gate import AccuracyGate, AgreementGate

        deployed = card.postprocess.score_threshold
        if self.data is not None and _is_labelled(self.data, card.task):
            from edgesdk.evaluate.dataset import open_dataset

            dataset = open_dataset(self.data, task=card.task, labels=labels)
            drop = DEFAULT_MAX_DROP if self.max_drop is None else self.max_drop
            return AccuracyGate(dataset, max_drop=drop, score_threshold=deployed, report=self.report)
        if self.data is not None:
            pictures: Sequence[Path | Array] = pictures_below(self.data)
        elif calibrating is not None:
            pictures = calibrating.some_pictures(_AGREEMENT_PICTURES)
        else:
            return None
        return AgreementGate(pictures, max_drop=self.max_drop, score_threshold=deployed, report=self.report)


def _is_labelled(data: Path, task: str) -> bool:
    """Tell whether there are labels at all; whether they are right is for the dataset's reader to say."""
    if data.is_file() or (data / "labels.csv").is_file():
        return True
    if task == "detect":
        return (data / "labels").is_dir() or any(data.glob("*.json")) or (data / "annotations").is_dir()
    return task in {"classify", "embed"} and data.is_dir() and any(entry.is_dir() for entry in data.iterdir())
