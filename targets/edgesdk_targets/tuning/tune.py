"""Find the best way to run a bundle on this device, by measuring it in a child process; the answer is kept.

Rule: a runtime that crashes or hangs while it is timed does so in the child; the variant that was under way is left out and
the child begins again. What a gate or the golden set refused is never taken, however fast. The answer is kept under a
fingerprint of the bundle, the runtimes as installed, the processor and the cores that this process may use; one that left
settings out for lack of time, or was disturbed, does not answer who gives more time. GPUs are not tuned: there a variant
runs as the bundle's order has it.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edgesdk_targets.answer_cache import AnswerCache
from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.probe_fingerprint import hash_of, machine_facts, runtime_facts
from edgesdk_targets.session import RUNTIMES, SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tuning.by_child import ask_child
from edgesdk_targets.tuning.grid import Given, settings_of
from edgesdk_targets.tuning.setting import Hint, Setting
from edgesdk_targets.tuning.tune_options import TuneOptions
from edgesdk_targets.tuning.tuned import Tuning
from edgesdk_targets.variant_choice import choose_variants

log = logging.getLogger(__name__)

_LEAST_BUDGET_S = 0.5
_CHILDREN = 4  # the first, and one for each of so many variants that end it
_DAY_S = 86400.0


class TunedOptions(NamedTuple):
    """What to load, and why; the variant is None where the bundle's order decides."""

    variant: str | None
    options: SessionOptions
    why: str


def tune(bundle: Bundle, hint: Hint, how: TuneOptions | None = None) -> Tuning:
    """Measure a bundle's variants with threads and streams, or recall what that gave.

    Raises:
        WrongTarget: no variant can run here.
    """
    how = how or TuneOptions()
    variants, refused = _able(bundle, how)
    cores = len(os.sched_getaffinity(0))
    groups = settings_of(variants, bundle.manifest, hint, cores, how.given, how.cameras)
    if not groups:
        return Tuning(hint, refused=refused, why=_why_not(refused))
    cache = AnswerCache((how.cache_dir or default_cache_dir()) / "tuning")
    key = _key(bundle, hint, how, variants, groups)
    if not how.again and (kept := _kept(cache, key)) is not None and kept.serves(how.budget_s):
        return kept
    start = time.monotonic()
    found = _measured(bundle, hint, how, groups, refused)
    found = replace(found, seconds=time.monotonic() - start)
    if found.measured:
        cache.put(key, {"tuning": found.to_json(), "at": time.time()})
    return found


def tuned_options(
    bundle: Bundle, hint: Hint, how: TuneOptions | None = None, *, options: SessionOptions | None = None
) -> TunedOptions:
    """Return the variant and session options to load here, measuring them if that was not done before.

    Args:
        options: what else the session is to have; its threads, streams, pin and spin are replaced.

    Raises:
        WrongTarget: no variant can run here.
    """
    how, base = how or TuneOptions(), options or SessionOptions()
    if how.variant and how.given.threads and how.given.streams and len(how.given.pins) == 1:
        return TunedOptions(how.variant, untuned_options(hint, how.given, base), "not tuned: everything was given")
    found = tune(bundle, hint, how)
    best = found.best
    if best is None:
        return TunedOptions(how.variant, untuned_options(hint, how.given, base), found.why)
    setting = best.setting
    told = f"{found.why}{' (measured before)' if found.kept else f' (measured in {found.seconds:.1f} s)'}"
    return TunedOptions(
        setting.variant,
        replace(base, threads=setting.threads, streams=setting.streams, pin=setting.pin, spin=hint.spin),
        told,
    )


def untuned_options(hint: Hint, given: Given, base: SessionOptions | None = None) -> SessionOptions:
    """Return what is usually good: a stream a core for throughput, else one stream of as many threads as the runtime likes."""
    streams = given.streams
    if not streams:
        cores = len(os.sched_getaffinity(0))
        streams = max(1, cores // (given.threads or 1)) if hint is Hint.THROUGHPUT else 1
    return replace(base or SessionOptions(), threads=given.threads, streams=streams, pin=given.pins[-1], spin=hint.spin)


def _able(bundle: Bundle, how: TuneOptions) -> tuple[list[tuple[Variant, Runtime]], dict[str, str]]:
    """Return the variants that may be taken with the runtime of each, and why the others may not."""
    choice = choose_variants(bundle.manifest, target=how.target, variant_id=how.variant)
    able: dict[str, tuple[Variant, Runtime]] = {}
    refused: dict[str, str] = {}
    for candidate in choice.candidates:
        variant = candidate.variant
        if variant.runtime is Runtime.TENSORRT:
            refused.setdefault(variant.id, "it is made for a GPU, which is not tuned")
        elif variant.accuracy.get("outcome") == "fail":
            refused.setdefault(variant.id, "its accuracy gate failed")
        else:
            # The first way is the best; a later one is a way out.
            able.setdefault(variant.id, (variant, candidate.runtime))
    if choice.candidates[0].variant.runtime is Runtime.TENSORRT:
        return [], refused
    return list(able.values()), refused


def _why_not(refused: Mapping[str, str]) -> str:
    name, reason = next(iter(refused.items()), ("", "there is no variant for it"))
    return f"not tuned: {f'{name}: ' if name else ''}{reason}"


def _kept(cache: AnswerCache, key: str) -> Tuning | None:
    data = cache.get(key)
    if data is None:
        return None
    try:
        found, age_s = replace(Tuning.from_json(data["tuning"]), kept=True), time.time() - float(data["at"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    # What was measured while the machine was busy with other things is measured again on another day.
    return None if found.disturbed and not 0 <= age_s < _DAY_S else found


def _key(
    bundle: Bundle,
    hint: Hint,
    how: TuneOptions,
    variants: list[tuple[Variant, Runtime]],
    groups: tuple[tuple[Setting, ...], ...],
) -> str:
    """Return the fingerprint of all that the answer depends on."""
    runtimes = sorted({runtime for _, runtime in variants}, key=lambda runtime: runtime.value)
    return hash_of(
        {
            "bundle": bundle.digest,
            "hint": hint.value,
            "spin": hint.spin,
            "fps": float(how.fps) if hint is Hint.AGE else 0.0,
            "settings": [[setting.to_json() for setting in group] for group in groups],
            "cores": sorted(os.sched_getaffinity(0)),
            "prove": how.prove,
            "runtimes": [runtime_facts(RUNTIMES[runtime]) for runtime in runtimes],
            **machine_facts(),
        }
    )


def _measured(
    bundle: Bundle,
    hint: Hint,
    how: TuneOptions,
    groups: tuple[tuple[Setting, ...], ...],
    refused: dict[str, str],
) -> Tuning:
    """Let children measure until one lives to tell; each that dies leaves out the variant it died of."""
    if not sys.executable or getattr(sys, "frozen", False):
        return Tuning(hint, refused=refused, why="not tuned: this Python cannot start itself again")
    begun, refused = time.monotonic(), dict(refused)
    for _ in range(_CHILDREN):
        left = [group for group in groups if group[0].variant not in refused]
        if not left:
            break
        budget = max(_LEAST_BUDGET_S, how.budget_s - (time.monotonic() - begun))
        try:
            with tempfile.TemporaryDirectory(prefix="edgesdk-tune-", ignore_cleanup_errors=True) as name:
                found = ask_child(Path(name), bundle, hint, replace(how, budget_s=budget), left)
        except OSError as error:
            return Tuning(hint, refused=refused, why=f"not tuned: {error}")
        if isinstance(found, Tuning):
            return replace(found, refused=refused | found.refused, budget_s=how.budget_s).in_order()
        culprit, why = found
        log.warning("%s is left out: %s", culprit or "the tuning", why)
        if not culprit:
            return Tuning(hint, refused=refused, why=f"not tuned: {why}")
        refused[culprit] = why
    return Tuning(hint, refused=refused, why=_why_not(refused))
