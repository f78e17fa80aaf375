"""The child's side of a probe: import the runtime, load the variant, run it, and say how that went.

`python -m edgesdk_targets.probe_child FOLDER`: the folder holds `request.json` and the variant's files; `phase` says
what is under way, for when the process does not live to write `result.json`. Needs numpy, pydantic and the one runtime.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import EdgeError, MissingExtra
from edgesdk_targets.probe_result import Outcome, ProbeResult
from edgesdk_targets.session import Load, Session, SessionOptions, open_load
from edgesdk_targets.tensor import DYNAMIC, Array, TensorSpec

REQUEST, RESULT, PHASE = "request.json", "result.json", "phase"


class _Unusable(Exception):
    """The variant ran, and its answer cannot be used."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class _Phases:
    """Times the phases, and says on disk which is under way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = 0.0
        self._now = ""
        self.seconds: dict[str, float] = {}

    def begin(self, name: str) -> None:
        self.end()
        partial = self._folder / f"{PHASE}.partial"
        partial.write_text(name, "ascii")
        partial.replace(self._folder / PHASE)
        self._now, self._since = name, time.perf_counter()

    def end(self) -> None:
        if self._now:
            took = time.perf_counter() - self._since
            self.seconds[self._now] = round(self.seconds.get(self._now, 0.0) + took, 4)
            self._now = ""


def main(folder: Path) -> NoReturn:
    """Carry out the request in the folder; the process ends here."""
    behave_as_child()
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    sys.path[:] = request["path"]
    phases = _Phases(folder)
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    result = _tried(request, folder, phases, versions)
    partial = folder / f"{RESULT}.partial"
    partial.write_text(json.dumps(result.to_json()), "utf-8")
    partial.replace(folder / RESULT)
    # The answer is on disk: destructors of a runtime's threads may crash a process that has nothing left to do.
    os._exit(0)


def _tried(request: dict[str, Any], folder: Path, phases: _Phases, versions: dict[str, str]) -> ProbeResult:
    outcome, reason, hint = Outcome.FINE, "", ""
    try:
        phases.begin("import")
        versions.update(_imported(request["packages"]))
        phases.begin("load")
        # A build has limits of its own; what comes before and after it has not.
        session = open_load(
            request["module"], _load(request, folder, lambda begins: phases.begin("build" if begins else "load"))
        )
        phases.begin("run")
        _run(session, tuple(request["values"]), frozenset(request["zeros"]))
    except _Unusable as error:
        outcome, reason, hint = error.outcome, str(error), "Convert the model again, or choose another variant."
    except MissingExtra as error:
        outcome, reason, hint = Outcome.MISSING, _why_missing(error), error.hint
    except ImportError as error:
        outcome, reason = Outcome.MISSING, f"{error.name or 'a library'} does not load: {_first_line(error)}"
        hint = "Install what is missing, or choose another variant (`--variant`)."
    except EdgeError as error:
        outcome, reason, hint = Outcome.REFUSED, error.message, error.hint
    except MemoryError:
        outcome, reason, hint = Outcome.OUT_OF_MEMORY, "there is too little memory for it", "Stop other programs."
    except Exception as error:  # noqa: BLE001  # the process's top: whatever it was, the parent is told
        outcome, reason = Outcome.REFUSED, f"{type(error).__name__}: {_first_line(error)}"
        hint = "Choose another variant (`--variant`), or another version of the runtime."
    phases.end()
    return ProbeResult(outcome, reason, hint, versions, phases.seconds)


def _imported(packages: list[str]) -> dict[str, str]:
    """Import the runtime's package, the first that is there, and return its version."""
    package = next((name for name in packages if importlib.util.find_spec(name) is not None), None)
    if package is None:
        return {}
    module = importlib.import_module(package)
    version = getattr(module, "__version__", None)
    if version is None:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
    return {package: str(version)}


def _load(request: dict[str, Any], folder: Path, on_build: Callable[[bool], None]) -> Load:
    cache = request["cache_dir"]
    return Load(
        files={role: (folder / name).read_bytes() for role, name in request["files"].items()},
        variant=Variant.model_validate(request["variant"]),
        inputs=tuple(TensorSpec.model_validate(spec) for spec in request["inputs"]),
        outputs=tuple(TensorSpec.model_validate(spec) for spec in request["outputs"]),
        options=SessionOptions(threads=request["threads"], cache_dir=Path(cache) if cache else None, on_build=on_build),
    )


def _run(session: Session, values: tuple[float, float], zeros: frozenset[str]) -> None:
    """Run zeros and a gradient the way the pipeline does; recurrent states (`zeros`) start as they always do.

    A model may divide by the length of what it sees, so an answer to zeros need not be a number.
    """
    (binding,) = session.bind()
    for fill in (False, True):
        for spec in session.inputs:
            flat = not fill or spec.name in zeros
            binding.inputs[spec.name][...] = 0 if flat else _gradient(spec, values)
        outputs = binding.run()
        for spec in session.outputs:
            _check(spec, outputs, finite=fill)


def _gradient(spec: TensorSpec, values: tuple[float, float]) -> Array:
    """Return a ramp over the values that a picture's pixels take; zeros for indices and the like."""
    if spec.dtype in {"int32", "int64", "bool"}:
        return np.zeros(spec.shape, spec.numpy_dtype)
    low, high = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}.get(spec.dtype, values)
    return np.linspace(low, high, int(np.prod(spec.shape))).reshape(spec.shape).astype(spec.numpy_dtype)


def _check(spec: TensorSpec, outputs: Mapping[str, Array], *, finite: bool) -> None:
    array = outputs.get(spec.name)
    if array is None:
        raise _Unusable(Outcome.WRONG_OUTPUTS, f"it gives no output {spec.name!r}")
    fits = len(array.shape) == len(spec.shape) and all(
        wanted in {DYNAMIC, size} for wanted, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != spec.numpy_dtype:
        raise _Unusable(
            Outcome.WRONG_OUTPUTS,
            f"its output {spec.name!r} is {list(array.shape)} {array.dtype}, "
            f"where the manifest says {list(spec.shape)} {spec.dtype}",
        )
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        what = "NaN" if np.isnan(array).any() else "infinite"
        raise _Unusable(Outcome.NOT_FINITE, f"its output {spec.name!r} holds {what} values")


def _why_missing(error: MissingExtra) -> str:
    cause = error.__cause__
    if isinstance(cause, (ImportError, OSError)) and not isinstance(cause, ModuleNotFoundError):
        return f"{error.package} is installed but does not load: {_first_line(cause)}"
    return f"{error.package} is not installed"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


if __name__ == "__main__":
    main(Path(sys.argv[1]))
