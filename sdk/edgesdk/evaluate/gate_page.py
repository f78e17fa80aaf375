"""The page of a verdict: the sentence, the figures with intervals, the classes, the scores, and the worst pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.evaluate.answers import Answers, Pictures
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.limits import Limits
from edgesdk.evaluate.naming import begun, the
from edgesdk.layouts.samples import BoxSample, ClassSample, Sample, TextSample, ValueSample
from edgesdk.report.page import Page
from edgesdk.report.plots import bars, histograms
from edgesdk_agent.drawing import describe, draw_result
from edgesdk_converters.proving.gate import Verdict
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.results import Detections, Result, name_of
from edgesdk_targets.tensor import Array

_ARTIFACT = "artifact"
_WORST = 10
_CLASSES = 30
_LONG_SIDE = 480
_LEAST_WIDTH = 256
_GAP = 8
_HEADLINE = {"pass": "Passed", "fail": "Failed", "need more samples": "Not decided"}


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the page shows pictures of.

    Attributes:
        dataset: whose labels are named; None where there are none.
    """

    pictures: Pictures
    reference: Answers
    artifact: Answers
    dataset: Dataset | None


def gate_page(verdict: Verdict, comparison: Comparison, shown: Shown, limits: Limits) -> Page:
    """Return the page of a verdict, ready to be written.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    name, baseline = str(verdict.report["artifact"]), str(verdict.report["baseline"])
    page = Page(f"{_HEADLINE[verdict.outcome]}: {name}", verdict.reason)
    _figures(page, verdict, comparison, shown)
    for warning in _texts(verdict.report.get("warnings")):
        page.text(f"Note: {warning}")
    _classes(page, comparison, baseline)
    for title, (reference, artifact) in comparison.scores.items():
        if len(reference) or len(artifact):
            page.heading(f"Distribution: {title}")
            plot = histograms({baseline: reference.tolist(), _ARTIFACT: artifact.tolist()}, unit=title)
            page.figure(plot, f"{title}: {the(baseline)} and the artifact, on the same pictures")
    _worst(page, comparison, shown, limits, baseline)
    return page


def _texts(found: object) -> list[str]:
    return [str(text) for text in found] if isinstance(found, list) else []


def _figures(page: Page, verdict: Verdict, comparison: Comparison, shown: Shown) -> None:
    page.heading("What was compared")
    baseline = str(verdict.report["baseline"])
    measure = "labels" if shown.dataset else f"the answers of {the(baseline)}"
    page.text(
        f"{begun(baseline)} and {verdict.report['artifact']}, task {verdict.report['task']}, on {len(shown.pictures)} "
        f"pictures ({comparison.drop.n} independent samples), by {measure}."
    )
    rows = []
    for model, metrics in ((baseline, comparison.reference), (_ARTIFACT, comparison.artifact)):
        rows += [[model, name, *m.in_words(), str(m.n)] for name, m in metrics.items()]
    page.table(["model", "figure", "value", "95 % interval", "n"], rows)
    drops = [
        [d.figure, f"{d.value:+.4f}", f"{d.low:+.4f} … {d.high:+.4f}", f"{d.limit:g}", d.outcome]
        for d in (comparison.drop, *comparison.further)
    ]
    columns = ["drop of", "drop", "between (each end 95 %)", "limit", "verdict"]
    page.table(columns, drops, "The first decides; the others must not be known to exceed their limit.")


def _classes(page: Page, comparison: Comparison, baseline: str) -> None:
    if not comparison.classes:
        return
    page.heading("Classes")
    # Those that lost most; a thousand bars show nothing.
    classes = sorted(comparison.classes, key=lambda c: -abs(c.drop))[:_CLASSES]
    if len(classes) < len(comparison.classes):
        page.text(f"The {len(classes)} of {len(comparison.classes)} classes whose recall changed most.")
    series: dict[str, Sequence[float]] = {
        baseline: [c.reference for c in classes],
        _ARTIFACT: [c.artifact for c in classes],
    }
    page.figure(bars([c.name for c in classes], series, unit="recall", most=1.0), "Recall of each class, both models")
    rows = [
        [c.name, f"{c.reference:.3f}", f"{c.artifact:.3f}", f"{c.drop:+.3f}", str(c.n), _remark(c.collapsed, c.blind)]
        for c in classes
    ]
    page.table(["class", baseline, _ARTIFACT, "drop", "n", ""], rows)


def _remark(collapsed: bool, blind: bool) -> str:
    return "lost" if collapsed else "too few samples" if blind else ""


def _worst(page: Page, comparison: Comparison, shown: Shown, limits: Limits, baseline: str) -> None:
    page.heading("The pictures that became worst")
    order = np.argsort(-comparison.harm, kind="stable")[:_WORST]
    worst = [int(i) for i in order if comparison.harm[i] > 1e-6]
    if not worst:
        page.text(f"No picture is answered worse than by {the(baseline)}.")
        return
    # Pictures may come only in their order, decoded when asked for.
    asked = set(worst)
    wanted = {i: picture for i, picture in enumerate(shown.pictures) if i in asked}
    pairs = []
    for i in worst:
        picture = wanted[i]
        image = read_image(picture) if isinstance(picture, Path) else picture
        results = [_counted(answers.results[i], limits) for answers in (shown.reference, shown.artifact)]
        said = ["; ".join(describe(result)[:3]) for result in results]
        truth = f"Right: {_truth(shown.dataset.samples[i], shown.dataset.labels)}. " if shown.dataset else ""
        name = picture.name if isinstance(picture, Path) else f"picture {i + 1}"
        pairs.append(
            (_pair(image, results), f"{name}. {truth}{begun(baseline, article=False)}: {said[0]}. Artifact: {said[1]}.")
        )
    page.pictures(pairs, f"Left {the(baseline)}, right the artifact.")


def _counted(result: Result, limits: Limits) -> Result:
    """Return what would be reported on the device."""
    if not isinstance(result, Detections):
        return result
    strong = result.scores >= limits.score_threshold
    return Detections(result.boxes[strong], result.scores[strong], result.class_ids[strong], result.names)


def _pair(image: Array, results: Sequence[Result]) -> bytes:
    """Draw two results on a picture, side by side, as JPEG."""
    scale = _LONG_SIDE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    base = cv2.resize(image, size, interpolation=interpolation)
    # Beside a narrow picture there is room for what is written on it.
    room = max(0, _LEAST_WIDTH - size[0])
    base = np.pad(base, ((0, 0), (0, room), (0, 0)), constant_values=255)
    drawn = []
    for result in results:
        copy = np.ascontiguousarray(base).copy()
        if isinstance(result, Detections):
            scaled = np.asarray(result.boxes * np.float32(scale), np.float32)
            draw_result(copy, dataclasses.replace(result, boxes=scaled))
        else:
            draw_result(copy, result)
        drawn.append(copy)
    gap = np.full((size[1], _GAP, 3), 255, np.uint8)
    done, data = cv2.imencode(".jpg", np.concatenate([drawn[0], gap, drawn[1]], axis=1), [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise InputError("A picture of the report could not be encoded.", hint="Check the installation of OpenCV.")
    return bytes(data.tobytes())


def _truth(sample: Sample, labels: tuple[str, ...]) -> str:
    if isinstance(sample, ClassSample):
        return " or ".join(name_of(c, labels) for c in sorted(sample.accepted))
    if isinstance(sample, TextSample):
        return repr(sample.text)
    if isinstance(sample, ValueSample):
        return ", ".join(f"{name_of(i, labels)} {value:g}" for i, value in enumerate(sample.values))
    assert isinstance(sample, BoxSample)  # noqa: S101  (the union has no other member)
    named = [name_of(int(c), labels) for c in sample.truth.class_ids]
    counts = {name: named.count(name) for name in dict.fromkeys(named)}
    return ", ".join(f"{count} of {name}" for name, count in counts.items()) or "nothing"
