"""The engine of a TensorRT variant: built once on the device in a child process, then kept.

An engine fits one source, recipe, TensorRT version, GPU and driver. Engines lie in a folder of their platform (the last
three), each named by the hash of source and recipe, and open with the sha256 of what follows. Beside them lies what the
builder measured (its timing cache), which makes the next build on this platform shorter. A build removes the folders of
other platforms of the same library: after an update of JetPack or the driver nothing in them can be used again.

A child that runs too long, or takes or leaves too much or too little memory, is killed; after the latter the build is
tried again with less scratch memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.child_watch import Ending, last_message, start_child, watch
from edgesdk_targets.errors import EdgeError, SessionFailed
from edgesdk_targets.runtimes.tensorrt_build import FAILED, REFUSED
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.sealed_file import read_sealed, write_sealed

log = logging.getLogger(__name__)

_BUILDER = "edgesdk_targets.runtimes.tensorrt_build"
_KEPT_ENGINES = 8
_TIMING = "timing"
_SCRATCH = ".building-"
_DAY_S = 86400.0
_MAX_TIMING_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What a build may take of the device.

    Attributes:
        seconds: one try; a large model on a small Jetson takes many minutes.
        keep_free_bytes: a child that leaves less memory available to others is killed.
        memory_bytes: how much of the processor's memory it may hold; None for as much as there is.
    """

    seconds: float = 3600.0
    keep_free_bytes: int = 192 << 20
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EnginePlatform:
    """What an engine depends on, besides its source.

    Attributes:
        library: `tensorrt` or `tensorrt_rtx`.
        gpu: its name, compute capability, and the driver.
    """

    library: str
    version: str
    gpu: str
    compute_capability: str
    driver: str

    @property
    def folder(self) -> str:
        """The name of its folder: for people the library and its version, for us a hash of all."""
        facts = (self.library, self.version, self.gpu, self.compute_capability, self.driver)
        return f"{self.library}-{_safe(self.version)}-{_hash(*(fact.encode() for fact in facts))[:16]}"


def engine_key(model: bytes, recipe: bytes | None) -> str:
    """Return the name of the engine of this source and recipe."""
    return _hash(model, recipe or b"")


class EngineCache:
    """The engines built on this device for one platform."""

    def __init__(self, folder: Path, platform: EnginePlatform, limits: BuildLimits | None = None) -> None:
        self._all = folder / "engines"
        self._folder = self._all / platform.folder
        self._platform = platform
        self._limits = limits or BuildLimits()

    def get(self, key: str) -> bytes | None:
        """Return a kept engine; None where there is none, or the file is damaged, which then goes."""
        path = self._path(key)
        data = read_sealed(path)
        if data is not None:
            os.utime(path)
        return data

    def build(self, key: str, model: bytes, recipe: bytes | None) -> bytes:
        """Build an engine and keep it.

        Raises:
            SessionFailed: TensorRT refuses the model, or no try succeeded within the limits.
            NoSpace: there is no room for it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget_stale()
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self._all) as scratch:
            engine = self._tries(Path(scratch), model, recipe)
            self._keep_timing(Path(scratch))
        write_sealed(self._path(key), engine)
        self._forget_old()
        return engine

    def forget(self, key: str) -> None:
        """Remove an engine that this device does not take (any more)."""
        self._path(key).unlink(missing_ok=True)

    def _tries(self, scratch: Path, model: bytes, recipe: bytes | None) -> bytes:
        (scratch / "model.onnx").write_bytes(model)
        (scratch / "recipe.json").write_bytes(recipe if recipe is not None else b"{}")
        (scratch / _TIMING).write_bytes(read_sealed(self._folder / _TIMING) or b"")
        why = ""
        for workspace in Recipe.from_bytes(recipe).workspaces_mb:
            why = self._one_try(scratch, workspace)
            if not why:
                return (scratch / "engine").read_bytes()
            log.warning("%s", why)
        raise SessionFailed(
            f"The TensorRT engine could not be built: {why}",
            hint="Free memory, stop other programs on the device, or choose another variant (`--variant`).",
        )

    def _one_try(self, scratch: Path, workspace_mb: int) -> str:
        """Run the child once; return what went wrong where a smaller workspace may help, else nothing."""
        platform, limits = self._platform, self._limits
        options = ["--library", platform.library, "--workspace-mb", str(workspace_mb), "--timing", _TIMING]
        options += ["--compute-capability", platform.compute_capability]
        child = start_child(_BUILDER, "model.onnx", "recipe.json", "engine", *options, folder=scratch)
        end = time.monotonic() + limits.seconds
        ending = watch(
            child, scratch, lambda: end, keep_free_bytes=limits.keep_free_bytes, memory_bytes=limits.memory_bytes
        )
        last, with_ = last_message(scratch), f"with {workspace_mb} MB of scratch memory"
        if ending is Ending.TOO_LONG:
            raise SessionFailed(
                f"Building the TensorRT engine took more than {limits.seconds:.0f} s.",
                hint="Lower `optimization_level` in the recipe, or choose another variant.",
            )
        if ending is Ending.TOO_MUCH_MEMORY:
            return f"{with_} it left the device too little memory"
        if child.returncode == REFUSED:
            raise SessionFailed(last, hint="Choose another variant (`--variant`), or convert the model again.")
        if child.returncode == FAILED:
            return last
        if child.returncode in {-signal.SIGKILL, -signal.SIGABRT}:
            # The kernel's way to end what takes too much memory, and C++'s when there is none left.
            return (
                f"{with_} its builder was killed ({signal.Signals(-child.returncode).name}): {last or 'memory ran out'}"
            )
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            raise SessionFailed(f"The engine's builder crashed ({name}).", hint="Check the TensorRT installation.")
        if child.returncode:
            raise SessionFailed(f"The engine's builder broke: {last}", hint="Check the TensorRT installation.")
        return ""

    def _keep_timing(self, scratch: Path) -> None:
        """Keep what the builder measured, unless it has grown beyond use: then the next build begins anew."""
        path = scratch / _TIMING
        data = path.read_bytes() if path.is_file() else b""
        try:
            if len(data) > _MAX_TIMING_BYTES:
                (self._folder / _TIMING).unlink(missing_ok=True)
            elif data:
                write_sealed(self._folder / _TIMING, data)
        except (EdgeError, OSError) as error:
            log.debug("the builder's measurements are not kept: %s", error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.engine"

    def _forget_stale(self) -> None:
        """Remove what was built by this library for another version, driver or GPU, and what a power cut left behind."""
        for path in self._all.iterdir():
            if path.name.startswith(f"{self._platform.library}-") and path != self._folder:
                log.info("removes engines that cannot be used any more: %s", path.name)
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith(_SCRATCH) and time.time() - path.stat().st_mtime > _DAY_S:
                shutil.rmtree(path, ignore_errors=True)

    def _forget_old(self) -> None:
        engines = sorted(self._folder.glob("*.engine"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in engines[_KEPT_ENGINES:]:
            path.unlink(missing_ok=True)


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "." else "_" for letter in text)
