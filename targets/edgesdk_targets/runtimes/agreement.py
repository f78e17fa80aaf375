"""The tensors of a model file must be those that the manifest says, or nothing is run.

A runtime that is handed memory of another size than it takes writes past its end; so each compares first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.tensor import DYNAMIC, TensorSpec


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor as the loaded file declares it.

    Attributes:
        shape: a dimension that the file leaves open is None, or a name.
        dtype: numpy's name of the element type, or the runtime's own where numpy has none.
    """

    shape: tuple[int | str | None, ...]
    dtype: str


def check_agreement(runtime: str, kind: str, specs: Sequence[TensorSpec], found: Mapping[str, Found]) -> None:
    """Compare the manifest's tensors (by the runtime's own names) with those of the file.

    Args:
        runtime: its name, for the message.
        kind: `input` or `output`, for the message.
        specs: of the manifest.
        found: of the file.

    Raises:
        SessionFailed: a tensor is missing, or of another shape or dtype.
    """
    for spec in specs:
        tensor = found.get(spec.name)
        if tensor is None:
            raise _disagree(f"{runtime}: the model file has no {kind} {spec.name!r}; it has {sorted(found)}.")
        fits = len(tensor.shape) == len(spec.shape) and all(
            wanted in {size, DYNAMIC} or not isinstance(size, int)
            for size, wanted in zip(tensor.shape, spec.shape, strict=True)
        )
        if not fits or tensor.dtype != spec.dtype:
            raise _disagree(
                f"{runtime}: the model file's {kind} {spec.name!r} is {list(tensor.shape)} {tensor.dtype}, "
                f"but the manifest says {list(spec.shape)} {spec.dtype}."
            )


def _disagree(message: str) -> SessionFailed:
    return SessionFailed(message, hint="Convert the model again, so that the manifest is written from the file.")


def refuse_dynamic(runtime: str, specs: Sequence[TensorSpec]) -> None:
    """Refuse outputs whose size is known only after a run, for a runtime that binds fixed memory.

    Raises:
        SessionFailed: there is one.
    """
    for spec in specs:
        if spec.dynamic:
            raise SessionFailed(
                f"{runtime}: the output {spec.name!r} is {list(spec.shape)}, of a size that depends on the picture.",
                hint="Run this model by ONNX Runtime or OpenVINO, or take the suppression out of the model.",
            )


def closed(runtime: str) -> SessionFailed:
    """Return the error of a session that is used after its end."""
    return SessionFailed(f"{runtime}: the session was closed.", hint="Open the model again.")
