"""Try a variant in a process of its own before it is loaded in this one.

Rule: a runtime that dies of an illegal instruction, crashes, hangs, takes the device's memory or answers nonsense does
so in a child; the process that asked lives, is told which of these it was, and takes its next choice. The child is sent
JSON and files in a private folder; no shell, no pickle. The answer is kept under a fingerprint of all it depends on, so
that the second start costs nothing.

Where nothing can be tried (a frozen application cannot start Python again, the temporary folder is full) nothing is
refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.child_watch import Ending, last_message, start_child, watch
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.probe_cache import ProbeCache
from edgesdk_targets.probe_child import PHASE, REQUEST, RESULT
from edgesdk_targets.probe_fingerprint import fingerprint
from edgesdk_targets.probe_result import Outcome, ProbeResult
from edgesdk_targets.session import RUNTIMES, SessionOptions, by_logical_name
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec

log = logging.getLogger(__name__)

_CHILD = "edgesdk_targets.probe_child"
_STARTS_S = 60.0  # Python and numpy, from a slow card
_DOING = {"": "while it started", "import": "while it was imported", "load": "while it loaded", "run": "while it ran"}
_DOING["build"] = "while it built an engine"
_KILLED_FOR_MEMORY = (-signal.SIGKILL, 128 + signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What a probe may take of the device.

    Attributes:
        phase_s: for importing, for loading and for running, each.
        build_s: for building an engine on the device, which takes minutes and watches itself.
        keep_free_bytes: a child that leaves less memory available to others is killed.
        memory_bytes: how much it may hold itself; None for as much as there is.
    """

    phase_s: float = 60.0
    build_s: float = 3 * 3600.0
    keep_free_bytes: int = 32 << 20
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried.

    Attributes:
        inputs, outputs: by logical name, in the order of the variant's own.
        digests: role → sha256 of the file's content.
        read: gives the content by role; called only where there is no kept answer.
        values: the lowest and highest value that a picture's pixel becomes.
        zeros: inputs that start from zeros (recurrent states).
    """

    variant: Variant
    runtime: Runtime
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    digests: Mapping[str, str]
    read: Callable[[], Mapping[str, bytes]]
    values: tuple[float, float] = (0.0, 1.0)
    zeros: tuple[str, ...] = ()


def trial_of_bundle(bundle: Bundle, variant: Variant, runtime: Runtime) -> Trial:
    """Return the trial of a bundle's variant; its files are read only if it comes to that."""
    manifest = bundle.manifest
    return Trial(
        variant=variant,
        runtime=runtime,
        inputs=by_logical_name(manifest.inputs, variant.inputs),
        outputs=by_logical_name(manifest.outputs, variant.outputs),
        digests={role: manifest.files[path].sha256 for role, path in variant.files.items()},
        read=lambda: bundle.variant_files(variant),
        values=pixel_values(manifest.preprocess, folded=variant.folded),
        zeros=tuple(state.input for state in manifest.state),
    )


def trial_of_files(
    files: Mapping[str, bytes],
    variant: Variant,
    runtime: Runtime,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    preprocess: Preprocess | None = None,
    zeros: tuple[str, ...] = (),
) -> Trial:
    """Return the trial of a variant that is in no bundle yet; `inputs` and `outputs` by their logical names."""
    return Trial(
        variant=variant,
        runtime=runtime,
        inputs=by_logical_name(inputs, variant.inputs),
        outputs=by_logical_name(outputs, variant.outputs),
        digests={role: hashlib.sha256(data).hexdigest() for role, data in files.items()},
        read=lambda: files,
        values=pixel_values(preprocess, folded=variant.folded),
        zeros=zeros,
    )


def pixel_values(preprocess: Preprocess | None, *, folded: bool) -> tuple[float, float]:
    """Return the lowest and highest value that preprocessing makes of a pixel."""
    if folded:
        return 0.0, 255.0
    if preprocess is None:
        return 0.0, 1.0
    ends = [
        (pixel - mean) / std
        for mean, std in zip(preprocess.mean, preprocess.std, strict=True)
        for pixel in (0.0, 255.0)
    ]
    return min(ends), max(ends)


def probe(trial: Trial, *, options: SessionOptions | None = None, limits: ProbeLimits | None = None) -> ProbeResult:
    """Try a variant in a child process, or recall how that ended.

    Raises:
        BundleError: the variant's files differ from the manifest.
    """
    options, limits = options or SessionOptions(), limits or ProbeLimits()
    if not sys.executable or getattr(sys, "frozen", False):
        log.debug("nothing is tried beforehand: this Python cannot start itself again")
        return ProbeResult(Outcome.FINE)
    cache = ProbeCache(options.cache_dir or default_cache_dir())
    request = _request(trial, options)
    key = fingerprint(trial.digests, request, RUNTIMES[trial.runtime], options.threads)
    kept = cache.get(key)
    if kept is not None:
        return replace(kept, kept=True)
    log.info("tries %s by %s in a process of its own, once", trial.variant.id, trial.runtime.value)
    try:
        with tempfile.TemporaryDirectory(prefix="edgesdk-probe-", ignore_cleanup_errors=True) as name:
            result = _tried(Path(name), trial, request, limits)
    except OSError as error:
        log.warning("%s is not tried beforehand: %s", trial.variant.id, error)
        return ProbeResult(Outcome.FINE)
    log.debug("%s by %s: %s %s", trial.variant.id, trial.runtime.value, result.outcome, result.seconds)
    cache.put(key, result)
    return result


def _request(trial: Trial, options: SessionOptions) -> dict[str, object]:
    entry = RUNTIMES[trial.runtime]
    return {
        "module": entry.module,
        "packages": list(entry.packages),
        # How a variant came to be says nothing of how it runs.
        "variant": trial.variant.model_dump(mode="json", exclude={"parity", "status", "notes"}),
        "inputs": [spec.model_dump(mode="json") for spec in trial.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in trial.outputs],
        "values": list(trial.values),
        "zeros": list(trial.zeros),
        "threads": options.threads,
        "cache_dir": str(options.cache_dir.absolute()) if options.cache_dir is not None else None,
    }


def _tried(folder: Path, trial: Trial, request: Mapping[str, object], limits: ProbeLimits) -> ProbeResult:
    names = {}
    for number, (role, content) in enumerate(trial.read().items()):
        names[role] = f"{number}.bin"
        (folder / names[role]).write_bytes(content)
    path = [str(Path(entry).absolute()) for entry in sys.path]
    (folder / REQUEST).write_text(json.dumps({**request, "files": names, "path": path}), "utf-8")
    child = start_child(_CHILD, str(folder), folder=folder)
    clock = _PhaseClock(folder, limits)
    ending = watch(
        child, folder, clock.ends_at, keep_free_bytes=limits.keep_free_bytes, memory_bytes=limits.memory_bytes
    )
    who = trial.runtime.value
    if ending is Ending.TOO_LONG:
        return _hangs(who, clock.phase, clock.limit_s)
    doing = _DOING.get(_phase(folder), "")
    if ending is Ending.TOO_MUCH_MEMORY:
        reason = f"{who} left the device too little memory {doing}, and was stopped."
        return ProbeResult(Outcome.OUT_OF_MEMORY, reason, _MEMORY_HINT)
    try:
        result = ProbeResult.from_json(json.loads((folder / RESULT).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return _died(who, child.returncode, doing, last_message(folder))
    return result if result.fine else replace(result, reason=_sentence(who, result))


class _PhaseClock:
    """Tells when the phase that is under way must have ended."""

    def __init__(self, folder: Path, limits: ProbeLimits) -> None:
        self._folder = folder
        self._limits = {"": _STARTS_S, "build": limits.build_s}
        self._phase_s = limits.phase_s
        self.phase = ""
        self._since = time.monotonic()

    @property
    def limit_s(self) -> float:
        return self._limits.get(self.phase, self._phase_s)

    def ends_at(self) -> float:
        now = _phase(self._folder)
        if now != self.phase:
            self.phase, self._since = now, time.monotonic()
        return self._since + self.limit_s


def _phase(folder: Path) -> str:
    try:
        return (folder / PHASE).read_text("ascii")
    except (OSError, ValueError):
        return ""


_MEMORY_HINT = "Free memory on the device (other programs, the desktop), or use a smaller model."


def _hangs(who: str, phase: str, limit_s: float) -> ProbeResult:
    reason = f"{who} did not answer within {limit_s:g} s {_DOING.get(phase, '')}, and was stopped."
    return ProbeResult(
        Outcome.HANGS, reason, "Choose another variant (`--variant`), or another version of the runtime."
    )


def _died(who: str, status: int, doing: str, last: str) -> ProbeResult:
    """Say in plain words what a child died of."""
    said = f" Its last words: {last[:200]}" if last else ""
    if status in _KILLED_FOR_MEMORY:
        reason = f"{who} was killed {doing}, most likely because memory ran out."
        return ProbeResult(Outcome.OUT_OF_MEMORY, reason, _MEMORY_HINT)
    if status in {-signal.SIGILL, 128 + signal.SIGILL}:
        reason = f"{who} died of an illegal instruction (SIGILL) {doing}: its build needs a newer processor than this."
        return ProbeResult(Outcome.ILLEGAL_INSTRUCTION, reason, "Install a build of it for this processor.")
    if status < 0:
        what, outcome = f"crashed ({signal.Signals(-status).name})", Outcome.CRASHED
    else:
        what, outcome = f"ended its process with code {status}", Outcome.CRASHED
    if "bad_alloc" in last or "out of memory" in last.lower():
        outcome = Outcome.OUT_OF_MEMORY
    reason = f"{who} {what} {doing}.{said}"
    return ProbeResult(outcome, reason, "Choose another variant (`--variant`), or another version of the runtime.")


def _sentence(who: str, result: ProbeResult) -> str:
    """Finish what the child said; a runtime's own errors are sentences already."""
    reason = result.reason.rstrip()
    if result.outcome in {Outcome.NOT_FINITE, Outcome.WRONG_OUTPUTS}:
        return f"{who} cannot be trusted with it: {reason}."
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."


def refusal(result: ProbeResult) -> SessionFailed:
    """Return what a probe found as the error of a session that was not opened."""
    return SessionFailed(result.reason, hint=result.hint)
