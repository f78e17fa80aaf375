"""Two models on pictures without labels: the float model's answer is the measure.

What disagrees is not always wrong, so the limits are wider than those of accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.average_precision import match
from edgesdk.evaluate.collapse import blind_warning, judged
from edgesdk.evaluate.compare_boxes import f1_drop, f1_of
from edgesdk.evaluate.compare_classes import class_drops
from edgesdk.evaluate.compare_texts import ratio_drop
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.drop import drop_of_shares
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.intervals import proportion, ratio_of_sums
from edgesdk.evaluate.limits import Limits
from edgesdk.evaluate.text_error import character_errors
from edgesdk.evaluate.vectors import checked_width, true_spread, unit_vectors
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Detections, Embedding, Regression, Text
from edgesdk_targets.tensor import Array

# What may differ unless said otherwise, by task: top-1 answers, F1 of detections, characters, cosine, spread of values.
USUAL = {"classify": 0.05, "detect": 0.07, "text": 0.05, "embed": 0.02, "regress": 0.02}


def compare_answers(task: str, reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    """Compare an artifact's answers with the float model's.

    Raises:
        InputError: the float model finds nothing on any picture, so that there is nothing to agree on.
    """
    return _COMPARES[task](reference, artifact, units, limits)


def _classes(reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    results = [cast("tuple[Classification, ...]", one.results) for one in (reference, artifact)]
    top = [np.asarray([int(r.class_ids[0]) for r in one]) for one in results]
    scores = [np.nan_to_num(np.asarray([r.scores[0] for r in one], np.float64)) for one in results]
    agree = top[0] == top[1]
    apart = mean_by_unit(~agree, units)
    names = results[0][0].names
    classes = judged(class_drops(top[0], np.ones(len(agree), bool), agree, units, names), limits.class_floor)
    return Comparison(
        drop=drop_of_shares("top1_agreement", apart, limits.max_drop),
        reference={},
        artifact={"top1_agreement": proportion(float((1 - apart).sum()), len(apart))},
        classes=classes,
        scores={"score of the best class": (scores[0], scores[1])},
        harm=(~agree).astype(float) + np.abs(scores[0] - scores[1]) / 2,
        warnings=blind_warning(classes),
    )


def _boxes(reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    results = [cast("tuple[Detections, ...]", one.results) for one in (reference, artifact)]
    counts = np.zeros((len(units), 3))
    for i, (before, after) in enumerate(zip(*results, strict=True)):
        strong = before.scores >= limits.score_threshold
        kept = after.scores >= limits.score_threshold
        truth = Truth(before.boxes[strong], before.class_ids[strong])
        hits = match(after.boxes[kept], after.scores[kept], after.class_ids[kept], truth).hits
        counts[i] = hits.sum(), kept.sum(), strong.sum()
    if not counts[:, 2].any():
        raise InputError(
            f"The float model finds nothing with a score of {limits.score_threshold:g} or more on these pictures.",
            hint="Give pictures with objects that it knows.",
        )
    alike = np.repeat(counts[:, 2:], 3, axis=1)
    drop, metrics = f1_drop("f1_agreement", [alike, counts], units, limits.max_drop)
    strong_scores = [np.concatenate([r.scores[r.scores >= 0.05] for r in one]).astype(float) for one in results]
    return Comparison(
        drop=drop,
        reference={},
        artifact={"f1_agreement": metrics[1]},
        scores={"detection scores": (strong_scores[0], strong_scores[1])},
        harm=1 - f1_of(counts),
    )


def _texts(reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    results = [cast("tuple[Text, ...]", one.results) for one in (reference, artifact)]
    read = [[r.text for r in one] for one in results]
    lengths = np.asarray([len(text) for text in read[0]])
    if not lengths.any():
        raise InputError("The float model reads nothing on any picture.", hint="Give pictures with text.")
    errors = character_errors(read[1], read[0])
    same = np.asarray([a == b for a, b in zip(*read, strict=True)], float)
    confidences = [np.asarray([r.confidence for r in one]) for one in results]
    return Comparison(
        drop=ratio_drop("characters_apart", errors, lengths, units, limits.max_drop),
        reference={},
        artifact={
            "characters_apart": ratio_of_sums(errors, lengths),
            "equal_texts": proportion(float(same.sum()), len(same)),
        },
        scores={"confidence": (confidences[0], confidences[1])},
        harm=errors.astype(float),
    )


def _embeddings(reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    tables = [
        unit_vectors([r.vector for r in cast("tuple[Embedding, ...]", one.results)]) for one in (reference, artifact)
    ]
    if tables[0].shape != tables[1].shape:
        raise InputError("The two models' embeddings differ in length.", hint="Compare models of one kind.")
    apart = 1 - (tables[0] * tables[1]).sum(axis=1)
    ones = np.ones(len(apart))
    return Comparison(
        drop=ratio_drop("cosine", apart, ones, units, limits.max_drop),
        reference={},
        artifact={"cosine": ratio_of_sums(1 - apart, ones)},
        scores={"cosine to the float model's": (ones, 1 - apart)},
        harm=apart,
    )


def _values(reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    tables = [
        np.stack([r.values for r in cast("tuple[Regression, ...]", one.results)]).astype(np.float64)
        for one in (reference, artifact)
    ]
    checked_width(tables[0].shape[1], tables[1].shape[1])
    spread = true_spread(tables[0])
    if (spread <= 0).any():
        raise InputError(
            "The float model estimates the same number for every picture.", hint="Give pictures that differ in it."
        )
    apart = (np.abs(tables[1] - tables[0]) / spread).mean(axis=1)
    ones = np.ones(len(apart))
    names = cast("Regression", reference.results[0]).names
    return Comparison(
        drop=ratio_drop("relative_difference", apart, ones, units, limits.max_drop),
        reference={},
        artifact={"relative_difference": ratio_of_sums(apart, ones)},
        scores={
            (names[i] if i < len(names) else f"value {i}"): (tables[0][:, i], tables[1][:, i])
            for i in range(min(tables[0].shape[1], 4))
        },
        harm=apart,
    )


_COMPARES: dict[str, Callable[[Answers, Answers, Array, Limits], Comparison]] = {
    "classify": _classes,
    "detect": _boxes,
    "text": _texts,
    "embed": _embeddings,
    "regress": _values,
}
