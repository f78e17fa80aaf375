"""Convert and prove: the converters, with a gate made of the user's data.

Labelled data give a gate on accuracy; pictures without labels, one on agreement with the float model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.evaluate.answers import paths_of
from edgesdk.report.page import Page
from edgesdk.report.place import check_report, page_path
from edgesdk.report.plots import bars
from edgesdk_converters.convert import convert as convert_ungated
from edgesdk_converters.proving.gate import Verdict
from edgesdk_converters.proving.parity_pictures import pictures_below
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import torch

    from edgesdk.evaluate.gate import AgreementGate
    from edgesdk_converters.conversion import Conversion
    from edgesdk_converters.int8.calibrating import Calibrating
    from edgesdk_converters.proving.gate import Gate, Predict
    from edgesdk_converters.workshop import Progress
    from edgesdk_targets.card import ModelCard
    from edgesdk_targets.tensor import Array

# Without labels, agreement is measured on so many of the calibration pictures.
_AGREEMENT_PICTURES = 100
_PLOTTED_LAYERS = 30


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
    tune: bool = True,
    explain: bool = False,
    batch: int = 1,
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
        tune: where plain INT8 is not good enough, choose weights for 8 bits before keeping layers in float.
        batch: pictures of one inference; one alone then costs as much as so many.
        explain: measure what each layer costs when it is quantised.
        report: an HTML file about the gate's findings on the first artifact; those on others, and what `explain` found, are
            written beside it, with the artifact's name, or `layers`, added. A folder takes a page for each.

    Raises:
        InputError: the model, card, data or target is wrong.
        ConversionError: no runtime of a target can have this model, or none gives the source's answers.
        GateFailed: every runtime's artifact loses more accuracy than `max_drop`.
        MissingExtra: a converter's package is not installed.
        NoSpace: the disk is full.
    """
    page = Path(report) if report else None
    _check_request(data, calib_data, max_drop, page, keep_float)
    judging = _Judging(Path(data) if data else None, max_drop, page)
    conversion = convert_ungated(
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
        tune=tune,
        gate=judging.gate,
        explain=explain,
        batch=batch,
        overrides=overrides,
        cache=cache,
        progress=progress,
    )
    if page is not None and conversion.sensitivity:
        layers_page(conversion).write(page_path(page, "layers"))
    return conversion


def layers_page(conversion: Conversion) -> Page:
    """Return the report of what each layer costs when it alone is in INT8."""
    layers = conversion.sensitivity
    shown = layers[:_PLOTTED_LAYERS]
    page = Page(
        f"What each layer of {conversion.path.stem} costs in INT8",
        "Each layer is quantised alone, the others in float; the less signal is left over the noise, the more it costs.",
    )
    plot = bars([layer["node"] for layer in shown], {"alone in INT8": [layer["sqnr_db"] for layer in shown]}, unit="dB")
    page.figure(plot, f"The {len(shown)} costliest of {len(layers)} layers; shorter bars cost more.")
    rows = [[layer["node"], layer["op"], f"{layer['sqnr_db']:.1f}", str(layer["parameters"])] for layer in layers]
    return page.table(["layer", "op", "dB", "parameters"], rows)


def _check_request(
    data: object,
    calib_data: object,
    max_drop: float | None,
    report: Path | None,
    keep_float: Sequence[str],
) -> None:
    """Refuse what would be ignored, and what cannot be written, before anything is loaded."""
    if max_drop is not None and not 0 < max_drop < 1:
        raise InputError(f"max_drop is {max_drop:g}, and not between 0 and 1.", hint="One point is 0.01.")
    if data is None and calib_data is None and (max_drop is not None or report is not None):
        what = "--max-drop" if max_drop is not None else "--report"
        raise InputError(f"{what} needs something to judge by.", hint="Give labelled pictures: --data DIR.")
    if keep_float and calib_data is None:
        raise InputError("--keep-float is about INT8, which needs --calib-data.", hint="Give typical pictures.")
    if report is not None:
        check_report(report)


@dataclass(frozen=True, slots=True)
class _Judging:
    """How artifacts are judged, as far as it is known before the model is."""

    data: Path | None
    max_drop: float | None
    report: Path | None

    def gate(
        self, card: ModelCard, labels: tuple[str, ...], calibrating: Calibrating | None
    ) -> tuple[Gate | None, Sequence[Path]]:
        """Return the gate for a model, None where there is nothing to judge it by, and its pictures' files."""
        from edgesdk.evaluate.gate import AccuracyGate, AgreementGate

        deployed = card.postprocess.score_threshold
        if self.data is not None and _is_labelled(self.data, card.task):
            from edgesdk.evaluate.dataset import open_dataset
            from edgesdk.evaluate.limits import MAX_DROP

            dataset = open_dataset(self.data, task=card.task, labels=labels)
            drop = MAX_DROP if self.max_drop is None else self.max_drop
            gate = AccuracyGate(dataset, max_drop=drop, score_threshold=deployed, report=self.report)
            return gate, [path for path in paths_of(dataset) if isinstance(path, Path)]
        if self.data is not None:
            files = pictures_below(self.data)
            return AgreementGate(files, max_drop=self.max_drop, score_threshold=deployed, report=self.report), files
        if calibrating is None:
            return None, ()
        pictures = calibrating.some_pictures(_AGREEMENT_PICTURES)
        own = AgreementGate(pictures, max_drop=self.max_drop, score_threshold=deployed, report=self.report)
        return _Flattering(own), ()


class _Flattering:
    """Agreement on the calibration pictures themselves: it can show a fault, but prove nothing.

    Nobody asked for it, so where these pictures cannot be judged by, that is no error.
    """

    warnings: tuple[str, ...] = (
        "accuracy was judged on the calibration pictures themselves, which flatters; give --data",
    )

    def __init__(self, gate: AgreementGate) -> None:
        self._gate = gate

    def judge(self, name: str, reference: Predict, artifact: Predict) -> Verdict:
        """Compare two models; what passes on its own calibration pictures is not proven."""
        try:
            verdict = self._gate.judge(name, reference, artifact)
        except InputError as error:
            return Verdict("need more samples", f"not judged: {error.message}", {"pictures": "calibration"})
        report = {**verdict.report, "pictures_of": "calibration"}
        if verdict.outcome == "pass":
            reason = f"not proven, as these are the calibration pictures: {verdict.reason}"
            return replace(verdict, outcome="need more samples", reason=reason, report=report)
        return replace(verdict, report=report)


def _is_labelled(data: Path, task: str) -> bool:
    """Tell whether there are labels at all; whether they are right is for the dataset's reader to say."""
    if data.is_file() or (data / "labels.csv").is_file():
        return True
    if task == "detect":
        return (data / "labels").is_dir() or any(data.glob("*.json")) or (data / "annotations").is_dir()
    return task in {"classify", "embed"} and data.is_dir() and any(entry.is_dir() for entry in data.iterdir())
