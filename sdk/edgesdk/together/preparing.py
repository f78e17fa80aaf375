"""What it takes to prepare the picture that only a cascade's second model sees: every picture pays for it, in doubt or not."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edgesdk.benchmark.statistics import latency
from edgesdk.together.members import Part, preprocess_of
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.lane_times import time_runs
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.preprocess.opencv import one_opencv_thread

_PICTURES, _SECONDS, _FEWEST = 8, 0.03, 3


def preparing_ms(part: Part, variant: Variant, paths: Sequence[Path]) -> float:
    """Return the milliseconds that a picture takes to become a part's input: the mean over some pictures, with one thread.

    Args:
        paths: of pictures as the camera's are, at least one; the larger they are, the longer it takes.
    """
    tensor = variant.inputs[0]
    preprocessor, place = Preprocessor(preprocess_of(part), tensor, folded=variant.folded), tensor.empty()
    step = -(-len(paths) // _PICTURES)
    images = [read_image(path) for path in paths[::step]]
    with one_opencv_thread():
        times = [time_runs(partial(preprocessor.into, image, place), _SECONDS, fewest=_FEWEST) for image in images]
    return statistics.fmean(latency(one).p50 for one in times)
