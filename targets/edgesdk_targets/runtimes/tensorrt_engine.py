"""The engine of a TensorRT variant: built once on the device in a child process, then kept.

An engine fits one source, recipe, TensorRT version, GPU and driver; its file is named by the hash of all of them, and
opens with the sha256 of what follows. A child that runs too long, or leaves the device too little memory, is killed;
after the latter the build is tried again with less scratch memory.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.bundle.bundle import write_whole
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.tensorrt_build import FAILED, REFUSED, Recipe

_DIGEST_BYTES = 32
_KEPT_ENGINES = 8
_LOOK_EVERY_S = 0.25
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What a build may take of the device.

    Attributes:
        seconds: one try; a large model on a small Jetson takes many minutes.
        keep_free_bytes: a child that leaves less memory available to others is killed.
    """

    seconds: float = 3600.0
    keep_free_bytes: int = 192 << 20


def engine_key(model: bytes, recipe: bytes | None, version: str, gpu: tuple[str, ...]) -> str:
    """Return the name of the engine for this source, recipe, TensorRT version and GPU (name, capability, driver)."""
    digest = hashlib.sha256()
    for part in (model, recipe or b"", version.encode(), *(text.encode() for text in gpu)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def default_cache_dir() -> Path:
    """Return the user's cache folder for what was built on this device."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgesdk"


class EngineCache:
    """The engines built on this device."""

    def __init__(self, folder: Path, limits: BuildLimits | None = None) -> None:
        self._folder = folder / "engines"
        self._limits = limits or BuildLimits()

    def get(self, key: str) -> bytes | None:
        """Return a kept engine; None where there is none, or the file is damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        engine = data[_DIGEST_BYTES:]
        return engine if hashlib.sha256(engine).digest() == data[:_DIGEST_BYTES] else None

    def build(self, key: str, model: bytes, recipe: bytes | None) -> bytes:
        """Build an engine and keep it.

        Raises:
            SessionFailed: TensorRT refuses the model, or no try succeeded within the limits.
            NoSpace: there is no room for it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self._folder) as scratch:
            engine = self._tries(Path(scratch), model, recipe)
        write_whole(self._path(key), hashlib.sha256(engine).digest() + engine)
        self._forget_old()
        return engine

    def forget(self, key: str) -> None:
        """Remove an engine that this device does not take (any more)."""
        self._path(key).unlink(missing_ok=True)

    def _tries(self, scratch: Path, model: bytes, recipe: bytes | None) -> bytes:
        (scratch / "model.onnx").write_bytes(model)
        (scratch / "recipe.json").write_bytes(recipe if recipe is not None else b"{}")
        why = ""
        for workspace in Recipe.from_bytes(recipe).workspaces_mb:
            why = self._one_try(scratch, workspace)
            if not why:
                return (scratch / "engine").read_bytes()
        raise SessionFailed(
            f"The TensorRT engine could not be built: {why}",
            hint="Free memory, stop other programs on the device, or choose another variant (`--variant`).",
        )

    def _one_try(self, scratch: Path, workspace_mb: int) -> str:
        """Run the child once; return what went wrong where a smaller workspace may help, else nothing."""
        names = ("model.onnx", "recipe.json", "engine")
        module = "edgesdk_targets.runtimes.tensorrt_build"
        command = [sys.executable, "-m", module, *names, "--workspace-mb", str(workspace_mb)]
        path = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
        with (scratch / "messages").open("wb") as messages:
            child = subprocess.Popen(
                command,
                cwd=scratch,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                # Ctrl-C is for us, who end the builder; by itself it would look like a builder short of memory.
                start_new_session=True,
            )
            starved = self._watch(child)
        text = (scratch / "messages").read_text("utf-8", errors="replace").strip()
        last = text.splitlines()[-1] if text else ""
        if starved:
            return f"with {workspace_mb} MB of scratch memory it left the device too little memory"
        if child.returncode == REFUSED:
            raise SessionFailed(last, hint="Choose another variant (`--variant`), or convert the model again.")
        if child.returncode == FAILED or child.returncode < 0:
            return last or f"the builder was killed by signal {-child.returncode}"
        if child.returncode:
            raise SessionFailed(f"The engine's builder broke: {last}", hint="Check the TensorRT installation.")
        return ""

    def _watch(self, child: subprocess.Popen[bytes]) -> bool:
        """Wait for the child's end; kill it past its limits. Return whether it took too much memory."""
        end = time.monotonic() + self._limits.seconds
        try:
            while not _ended(child, min(_LOOK_EVERY_S, max(0.0, end - time.monotonic()))):
                if _available_bytes() < self._limits.keep_free_bytes:
                    return True
                if time.monotonic() >= end:
                    raise SessionFailed(
                        f"Building the TensorRT engine took more than {self._limits.seconds:.0f} s.",
                        hint="Lower `optimization_level` in the recipe, or choose another variant.",
                    )
            return False
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.engine"

    def _forget_old(self) -> None:
        engines = sorted(self._folder.glob("*.engine"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in engines[_KEPT_ENGINES:]:
            path.unlink(missing_ok=True)


def _ended(child: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _available_bytes() -> int:
    """Return how much memory the kernel could still give; on a Jetson it is also the GPU's."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return sys.maxsize
