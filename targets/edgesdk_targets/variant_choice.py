"""Which variant of a bundle this host runs, and why not each other.

With a target named, only its variants count, in the bundle's order. Without one, the variants for this machine's own
kind come first, then those of its architecture, then the rest, each run by its own runtime where that is installed.
A TensorRT variant is an ONNX file: where TensorRT is absent or fails, ONNX Runtime runs it, by the fastest of its
providers that works (`runtimes/onnxruntime.py`).
"""

from __future__ import annotations

import difflib
import importlib.util
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.catalogue import find_target, shipped_target
from edgesdk_targets.errors import UnknownTarget, WrongTarget
from edgesdk_targets.nvidia_driver import nvidia_driver
from edgesdk_targets.session import RUNTIMES, is_installed
from edgesdk_targets.target import Runtime

# The runtime that can read another's file when that one is not installed.
_SUBSTITUTE = {Runtime.TENSORRT: Runtime.ONNXRUNTIME}
_DEVICE_TREE = Path("/proc/device-tree/model")
# How a board names itself in its device tree → target.
_BOARDS = {
    "Raspberry Pi 5": "rpi5",
    "Raspberry Pi 4": "rpi4",
    "Raspberry Pi Zero 2": "rpi-zero2w",
    "Orin Nano": "jetson-orin-nano",
    "Orin NX": "jetson-orin-nx",
    "AGX Orin": "jetson-agx-orin",
    "Thor": "jetson-thor",
}
# "x86-cpu" means any such processor, and "generic-onnx" any at all.
_ANY_OF_THE_KIND = frozenset({"x86-cpu", "generic-onnx"})
_ARCH = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Host:
    """What is known of the machine: its target's name where the board says it, and its architecture."""

    target: str | None
    arch: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that can run here, and the runtime that would run it."""

    variant: Variant
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Choice:
    """The variants that can run here, best first, and the others with their reasons.

    Attributes:
        rejected: (variant id, reason); what was tried and failed comes first.
        unfit: those of them that cannot run here, or were not asked for.
        failed: those of them that were tried, by variant id and runtime.
        host: the machine that was chosen for.
        not_asked_for: ids of the variants that another target or variant was asked for than they are.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[tuple[str, str], ...]
    unfit: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    host: Host = field(default=Host(None, "any"), repr=False)
    not_asked_for: frozenset[str] = frozenset()

    def taken(
        self,
        candidate: Candidate,
        failures: tuple[tuple[str, str], ...],
        passed_over: tuple[tuple[str, str], ...] = (),
    ) -> Choice:
        """Return this choice as it ended: why what was tried before failed, and why the others were not needed.

        Args:
            failures: (variant id and runtime, reason) of the better candidates.
            passed_over: (part of the runtime, reason) of what the runtime that was taken could not use here.
        """
        variant = candidate.variant
        slower = [
            (f"{variant.id} by {runtime.value}", _not_installed(runtime))
            for runtime in _ways(variant)[: _ways(variant).index(candidate.runtime)]
            if Candidate(variant, runtime) not in self.candidates
        ]
        slower += [(f"{variant.id} by {candidate.runtime.value}'s {part}", reason) for part, reason in passed_over]
        tried = {other.variant.id for other in self.candidates[: self.candidates.index(candidate)]}
        later = {
            other.variant.id: _why_later(other, candidate, self.host)
            for other in self.candidates
            if other.variant.id not in {candidate.variant.id, *tried}
        }
        return replace(self, rejected=(*failures, *slower, *self.unfit, *later.items()), failed=failures)


def this_host() -> Host:
    """Read what this machine says of itself."""
    arch = _ARCH.get(platform.machine().lower(), platform.machine().lower())
    try:
        board = _DEVICE_TREE.read_text("utf-8", errors="replace")
    except OSError:
        board = ""
    target = next((name for text, name in _BOARDS.items() if text in board), None)
    if target is None and arch == "x86_64":
        target = "x86-gpu-nvidia" if nvidia_driver() and runs_here(Runtime.TENSORRT) else "x86-cpu"
    return Host(target, arch)


def runs_here(runtime: Runtime) -> bool:
    """Tell whether a runtime can be tried here, without importing it.

    TensorRT-RTX builds for graphics cards on any machine, and so may be installed on one without; it runs only on one.
    """
    rtx = runtime is Runtime.TENSORRT and importlib.util.find_spec("tensorrt_rtx") is not None
    return is_installed(runtime) or (rtx and bool(nvidia_driver()))


def is_here(target: str, host: Host) -> bool:
    """Tell whether this machine is what a target's name means, so that what is measured here holds for the target."""
    return target == host.target or (target in _ANY_OF_THE_KIND and _arch_of(target) in {host.arch, "any"})


def choose_variants(
    manifest: Manifest,
    *,
    target: str | None = None,
    variant_id: str | None = None,
    host: Host | None = None,
    installed: Callable[[Runtime], bool] = runs_here,
) -> Choice:
    """Rank the variants for this host.

    Args:
        target: only this target's variants; a name or alias.
        variant_id: only this variant.

    Raises:
        WrongTarget: none fits; the message says why each was not taken.
    """
    host = host or this_host()
    wanted = _canonical(target) if target else None
    candidates: list[Candidate] = []
    rejected: list[tuple[str, str]] = []
    not_asked_for: set[str] = set()
    for variant in manifest.variants:
        runtimes = _runtimes_for(variant, installed)
        if (reason := _not_asked_for(variant, wanted, variant_id)) is not None:
            rejected.append((variant.id, reason))
            not_asked_for.add(variant.id)
        elif not runtimes:
            rejected.append((variant.id, _not_installed(variant.runtime)))
        candidates += [Candidate(variant, runtime) for runtime in runtimes if reason is None]
    if not candidates:
        of_it = [(name, reason) for name, reason in rejected if variant_id in {None, name}]
        raise _nothing_fits(manifest, wanted, variant_id, of_it)
    candidates.sort(key=lambda candidate: _rank(candidate, host))
    choice = Choice(tuple(candidates), (), unfit=tuple(rejected), host=host, not_asked_for=frozenset(not_asked_for))
    return choice.taken(candidates[0], ())


def _canonical(name: str) -> str:
    try:
        return find_target(name).name
    except UnknownTarget:
        # A target of the user's own may be known only where the bundle was made.
        return name


def _not_asked_for(variant: Variant, target: str | None, variant_id: str | None) -> str | None:
    if variant_id is not None and variant.id != variant_id:
        return f"not the variant asked for ({variant_id})"
    if target is not None and variant.target != target:
        return f"made for {variant.target}, not {target}"
    return None


def _runtimes_for(variant: Variant, installed: Callable[[Runtime], bool]) -> list[Runtime]:
    """Return what can run the variant's file here: its own runtime, and the way out when that one fails."""
    return [runtime for runtime in _ways(variant) if installed(runtime)]


def _ways(variant: Variant) -> tuple[Runtime, ...]:
    other = _SUBSTITUTE.get(variant.runtime)
    return (variant.runtime,) if other is None else (variant.runtime, other)


def _not_installed(runtime: Runtime) -> str:
    return f"{runtime.value} is not installed (pip install 'edgesdk[{RUNTIMES[runtime].extra}]')"


def _rank(candidate: Candidate, host: Host) -> tuple[bool, bool, bool]:
    """False sorts first: this board's own, then its architecture's, then run by its own runtime."""
    variant = candidate.variant
    return (
        variant.target != host.target,
        _arch_of(variant.target) not in {host.arch, "any"},
        candidate.runtime is not variant.runtime,
    )


def _arch_of(target: str) -> str:
    # A bundle names targets by their canonical names: usually one file is read here, and not a dozen.
    if (shipped := shipped_target(target)) is not None:
        return shipped.arch
    try:
        return find_target(target).arch
    except UnknownTarget:
        return "any"


def _why_later(candidate: Candidate, best: Candidate, host: Host) -> str:
    if candidate.variant.target != best.variant.target:
        return f"made for {candidate.variant.target}; {best.variant.target} is closer to this host ({host.arch})"
    return f"{best.variant.id} comes first in the bundle"


def _nothing_fits(
    manifest: Manifest, target: str | None, variant_id: str | None, rejected: list[tuple[str, str]]
) -> WrongTarget:
    head = f"{manifest.name} {manifest.version} has no variant"
    ids, targets = (sorted({getattr(variant, of) for variant in manifest.variants}) for of in ("id", "target"))
    # A name that nothing has: why each variant is another says nothing.
    if variant_id is not None and variant_id not in ids:
        return WrongTarget(f"{head} {variant_id!r}.", hint=_meant(variant_id, ids))
    if target is not None and target not in targets and not _is_catalogued(target):
        return WrongTarget(f"{head} for target {target!r}.", hint=_meant(target, targets))
    what = f"for target {target!r}" if target else f"{variant_id!r}" if variant_id else "that can run on this host"
    return WrongTarget(
        f"{head} {what}. {'; '.join(f'{name}: {reason}' for name, reason in rejected)}.",
        hint=f"Convert the model for this device, or name one of: {', '.join(ids if variant_id else targets)}.",
    )


def _is_catalogued(target: str) -> bool:
    try:
        find_target(target)
    except UnknownTarget:
        return False
    return True


def _meant(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}The bundle has: {', '.join(names)}."
