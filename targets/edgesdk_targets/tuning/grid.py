"""Which settings are looked at (pure).

For one answer at a time only the number of threads counts; for many a second, the ways to fill the cores: few streams of
several threads, or many of one. Live cameras that share a model are answered at once as far as there are cores. Whoever gives
threads or streams himself leaves only the rest open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.target import Runtime
from edgesdk_targets.tuning.setting import PINS, Hint, Setting


@dataclass(frozen=True, slots=True)
class Given:
    """What the user decided.

    Attributes:
        threads, streams: 0 leaves them open.
        pins: the ways of pinning that are open, where the runtime can: both for a process that holds the claim on its
            cores; the last is what is usually good.
    """

    threads: int = 0
    streams: int = 0
    pins: tuple[bool, ...] = (False,)


def ways(
    hint: Hint, cores: int, given: Given, *, one_stream: bool = False, cameras: int = 1
) -> tuple[tuple[int, int], ...]:
    """Return (threads, streams), the usual best first.

    Args:
        one_stream: the model's answers depend on the frame before.
        cameras: that share the model, for `Hint.AGE`.
    """
    streams = 1 if one_stream else given.streams
    most = {Hint.LATENCY: 1, Hint.AGE: cameras, Hint.THROUGHPUT: cores}[hint]
    counts = [given.threads] if given.threads else _threads(cores)
    if hint is Hint.THROUGHPUT:
        counts.reverse()
    return tuple((threads, streams or min(most, max(1, cores // threads))) for threads in counts)


def _threads(cores: int) -> list[int]:
    """Return the numbers of threads that are worth a look, most first: all cores, all but one, and powers of two."""
    counts = {cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)}
    if cores > 2:
        counts.add(cores - 1)
    return sorted(counts, reverse=True)


def settings_of(
    variants: Sequence[tuple[Variant, Runtime]],
    manifest: Manifest,
    hint: Hint,
    cores: int,
    given: Given,
    cameras: int = 1,
) -> tuple[tuple[Setting, ...], ...]:
    """Return for each variant its settings, the one that is looked at first in front."""
    # A frame's answer depends on the frames before: of one camera, one at a time.
    one_stream = bool(manifest.state) or manifest.window is not None
    open_ways = ways(hint, cores, given, one_stream=one_stream, cameras=cameras)
    groups = []
    for variant, runtime in variants:
        pins = given.pins if runtime in PINS else (False,)
        groups.append(
            tuple(
                Setting(variant.id, runtime, variant.precision, threads, streams, pin)
                for threads, streams in open_ways
                for pin in pins
            )
        )
    return tuple(groups)
