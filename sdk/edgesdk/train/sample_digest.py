"""A digest of labelled pictures: their names, their sizes, and what is true of them; no picture is read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from edgesdk.layouts.samples import BoxSample, ClassSample, Sample, TextSample


def digest_of_samples(samples: Sequence[Sample], labels: Sequence[str]) -> str:
    """Return what is the same for the same pictures, wherever their folder lies.

    A picture that was replaced by another of the same name and of as many bytes is taken for the same.
    """
    paths = [sample.path.absolute() for sample in samples]
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    whole = hashlib.sha256(json.dumps(list(labels)).encode())
    for path, sample in zip(paths, samples, strict=True):
        size = path.stat().st_size if path.is_file() else -1
        whole.update(json.dumps([os.path.relpath(path, root), size, _truth(sample)]).encode())
    return whole.hexdigest()


def _truth(sample: Sample) -> Any:
    if isinstance(sample, ClassSample):
        return sorted(sample.accepted)
    if isinstance(sample, TextSample):
        return sample.text
    if isinstance(sample, BoxSample):
        truth = sample.truth
        crowd = truth.crowd.tolist() if truth.crowd is not None else []
        return [truth.boxes.tolist(), truth.class_ids.tolist(), crowd, sample.fractions]
    return list(sample.values)
