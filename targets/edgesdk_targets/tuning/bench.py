"""Times settings in this process: sessions as the agent opens them, filled as the agent fills them.

A turn runs each stream from a thread of its own. For a live camera frames come at their time and the cores rest between
them, as they will: what is quick when it runs without a pause need not be so after one, and a runtime whose threads wait
by spinning shows what that costs.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.child_watch import held_bytes
from edgesdk_targets.lane_times import time_lanes
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.session import Binding, Session, SessionOptions, open_session
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.own_picture import own_pictures
from edgesdk_targets.tuning.setting import Hint, Measured, Setting, Slice

_FIRST_LOOK_S, _TURN_S, _LIVE_TURN_S = 0.08, 0.2, 0.3
# A camera slower than this would only make the measuring slow; the cores have long gone to rest.
_SLOWEST_FPS = 15.0
_FEWEST_RUNS = 3
_WARM_UP_RUNS = 3
_SETTLING_RUNS = 2
_PREPARED = 5
# A camera's usual picture: height, width.
_PICTURE = (720, 1280)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An open setting."""

    session: Session
    bindings: Sequence[Binding]


class SessionBench:
    """The bench of a bundle.

    Args:
        fps: of the live camera, for `Hint.AGE`.
        cache_dir: as in `SessionOptions`.
    """

    def __init__(self, bundle: Bundle, hint: Hint, *, fps: float, cache_dir: Path | None) -> None:
        self._bundle = bundle
        self._hint = hint
        self._variants = {variant.id: variant for variant in bundle.manifest.variants}
        window = bundle.manifest.window
        # A model that takes clips is asked once in so many frames.
        asked = fps / window.stride if window else fps
        self._period_s = 1.0 / max(asked, _SLOWEST_FPS) if hint is Hint.AGE else 0.0
        self._period_ms = 1e3 / asked if hint is Hint.AGE else 0.0
        self._cache_dir = cache_dir
        self._open: dict[Setting, Loaded] = {}
        self._prepare_ms: dict[str, float] = {}
        self._picture = np.random.default_rng(0).integers(0, 256, (*_PICTURE, 3), np.uint8)

    def open(self, setting: Setting) -> Measured:
        variant, before = self._variants[setting.variant], held_bytes(os.getpid())
        session = open_session(
            self._bundle, variant, runtime=setting.runtime, options=options_of(setting, self._hint, self._cache_dir)
        )
        bindings = session.bind(setting.streams)
        for binding in bindings:
            self._fill(session, variant, binding)
            for _ in range(_WARM_UP_RUNS):
                binding.run()
        self._open[setting] = Loaded(session, bindings)
        taken = _turn(bindings, _FIRST_LOOK_S, self._period_s)
        grown = max(0, held_bytes(os.getpid()) - before)
        return Measured(setting, self._prepare_ms.get(setting.variant, 0.0), grown, (taken,), self._period_ms)

    def turn(self, setting: Setting) -> Slice:
        return _turn(self._open[setting].bindings, _LIVE_TURN_S if self._period_s else _TURN_S, self._period_s)

    def close(self, setting: Setting) -> None:
        self._open.pop(setting).session.close()

    def _fill(self, session: Session, variant: Variant, binding: Binding) -> None:
        """Write a picture into the image input, or into each frame of a clip, and zeros into states and indices."""
        manifest = self._bundle.manifest
        carried = {state.input for state in manifest.state}
        own = own_pictures(manifest.own_preprocess, session.inputs, variant.together)
        apart = carried | {one.tensor.name for one in own}
        images = [spec for spec in session.inputs if spec.name not in apart]
        for spec in session.inputs:
            binding.inputs[spec.name][...] = 0 if spec.name in carried else _noise(spec)
        if manifest.preprocess is None or len(images) != 1:
            return
        window, out = manifest.window, binding.inputs[images[0].name]
        frame = images[0] if window is None else window.frame_of(images[0])
        prepare = Preprocessor(manifest.preprocess, frame, folded=variant.folded)
        prepared = out if window is None else frame.empty()
        others = [
            (Preprocessor(one.preprocess, one.tensor, folded=one.folded), binding.inputs[one.tensor.name])
            for one in own
        ]
        times = []
        for _ in range(_PREPARED):
            start = time.perf_counter()
            prepare.into(self._picture, prepared)
            for another, place in others:
                another.into(self._picture, place)
            times.append((time.perf_counter() - start) * 1000)
        if window is not None:
            for number in range(window.frames):
                np.copyto(window.place(out, number), prepared)
        self._prepare_ms.setdefault(variant.id, min(times))


def options_of(setting: Setting, hint: Hint, cache_dir: Path | None) -> SessionOptions:
    """Return the options of a setting's session."""
    return SessionOptions(
        threads=setting.threads, streams=setting.streams, pin=setting.pin, spin=hint.spin, cache_dir=cache_dir
    )


def _turn(bindings: Sequence[Binding], seconds: float, period_s: float) -> Slice:
    """Run all bindings at the same time for so long; the time of settling is not counted."""
    lanes = [binding.run for binding in bindings]
    taken = time_lanes(lanes, seconds, fewest=_FEWEST_RUNS, settling=_SETTLING_RUNS, period_s=period_s)
    every = [one for of_one in taken.times for one in of_one]
    p50, p95 = statistics.median(every), float(np.percentile(every, 95))
    # Of a paced stream the rate is the camera's; what counts is how many it could do.
    fps = len(every) / taken.wall_s if not period_s else len(bindings) / statistics.mean(every)
    others = taken.others_s / taken.wall_s
    idle = max(0.0, len(os.sched_getaffinity(0)) - taken.cpu_s / taken.wall_s - others)
    return Slice(p50 * 1000, p95 * 1000, fps, taken.cpu_s * 1000 / len(every), others, idle)


def _noise(spec: TensorSpec) -> Array:
    rng = np.random.default_rng(0)
    if spec.dtype in {"float32", "float16"}:
        return rng.random(spec.shape).astype(spec.numpy_dtype)
    if spec.dtype == "uint8":
        return rng.integers(0, 256, spec.shape, np.uint8)
    return np.zeros(spec.shape, spec.numpy_dtype)
