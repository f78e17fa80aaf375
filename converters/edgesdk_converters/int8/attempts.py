"""What tries at an INT8 artifact came to, and what follows from it (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgesdk_converters.int8.tiers import PLAIN, TUNED
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import EdgeError, StepFailed


def helped(beyond: Mapping[str, float]) -> bool:
    """Tell whether tuned weights, once tried, were measured to do no worse than plain; parity alone measures nothing."""
    tuned = beyond.get(TUNED, 0.0)
    return math.isfinite(tuned) and tuned <= beyond.get(PLAIN, math.inf)


def measured_beyond(variant: Variant) -> bool:
    """Tell whether the gate could not decide, but measured a greater drop than it allows."""
    return variant.accuracy.get("outcome") == "need more samples" and float(variant.accuracy["excess"]) > 0


def most_telling(failures: Sequence[EdgeError]) -> EdgeError:
    """Return the last failed proof; where nothing could be built, why."""
    proofs = [error for error in failures if not isinstance(error, StepFailed)]
    if proofs or failures:
        return (proofs or list(failures))[-1]
    return StepFailed("Nothing is left that could be quantised.", hint="Keep less in float, or use --precision fp16.")
