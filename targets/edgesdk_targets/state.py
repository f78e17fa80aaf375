"""Recurrent models: which tensors are carried from frame to frame, and when they start again.

The state belongs to one camera's stream. It starts from zeros, is fed back after each inference, and starts again
where the card says so: `camera_change` gives every camera a state of its own (without it all cameras share one),
`gap` starts again when frames were lost between two inferences.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from edgesdk_targets.gap_tally import GapTally
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.tensor import Array, TensorSpec

log = logging.getLogger(__name__)

Reset = Literal["camera_change", "gap"]

# So many inferences of a camera, one after the other, each of which began from zeros are told: the model remembers nothing.
_FORGOTTEN_TOLD = 10


class StateSpec(LateModel):
    """One state tensor: the model's output `output` is its input `input` of the next frame.

    Attributes:
        shape: of the tensor; None where the model's own input specification says it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    output: str
    shape: tuple[int, ...] | None = None
    dtype: str = "float32"
    init: Literal["zeros"] = "zeros"
    reset: tuple[Reset, ...] = ("camera_change", "gap")


def check_states(
    states: tuple[StateSpec, ...], inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    """Check that each state leads from an output of the model to an input of the same shape and dtype.

    Raises:
        ValueError: it does not; the message names the state.
    """
    ins, outs = ({spec.name: spec for spec in specs} for specs in (inputs, outputs))
    for state in states:
        into, out = ins.get(state.input), outs.get(state.output)
        if into is None or out is None:
            raise ValueError(
                f"state {state.output!r} → {state.input!r}: the model's outputs are {sorted(outs)}, its inputs {sorted(ins)}"
            )
        if (into.shape, into.dtype) != (out.shape, out.dtype):
            raise ValueError(
                f"state {state.output!r} → {state.input!r}: {list(out.shape)} {out.dtype} is fed back into "
                f"{list(into.shape)} {into.dtype}"
            )


class StreamState:
    """The state of every camera's stream of one session.

    Memory for a camera is taken at its first frame; afterwards nothing is allocated.
    """

    def __init__(self, specs: tuple[StateSpec, ...], inputs: tuple[TensorSpec, ...]) -> None:
        self._specs = specs
        self._inputs = {spec.name: spec for spec in inputs}
        self._per_camera = any("camera_change" in spec.reset for spec in specs)
        self._on_gap = tuple(spec for spec in specs if "gap" in spec.reset)
        self._tensors: dict[str, dict[str, Array]] = {}
        self._memory: dict[str, dict[str, int]] = {}
        self._last_seq: dict[str, int] = {}
        # Since two frames came one after the other.
        self._gaps = GapTally(_FORGOTTEN_TOLD)

    def memory(self, camera: str) -> dict[str, int]:
        """Return what the decoder remembers of this camera's stream (a streaming text model's last symbol)."""
        return self._memory.setdefault(self._key(camera), {})

    def feed(self, camera: str, seq: int, inputs: Mapping[str, Array]) -> None:
        """Write the state into the model's inputs, starting again where frames are missing before `seq`."""
        key = self._key(camera)
        tensors = self._tensors.get(key)
        if tensors is None:
            tensors = self._tensors[key] = {s.input: self._zeros(s.input) for s in self._specs}
        if self._on_gap and camera in self._last_seq:
            missing = seq - self._last_seq[camera] - 1
            if missing:
                self._forget(camera, tensors, missing)
            else:
                self._gaps.went_well(camera)
        # Each camera numbers its own frames, also where all share one state.
        self._last_seq[camera] = seq
        for spec in self._specs:
            np.copyto(inputs[spec.input], tensors[spec.input])

    def keep(self, camera: str, outputs: Mapping[str, Array]) -> None:
        """Take the next state from the model's outputs."""
        tensors = self._tensors[self._key(camera)]
        for spec in self._specs:
            np.copyto(tensors[spec.input], outputs[spec.output])

    def reset(self, camera: str | None = None) -> None:
        """Forget one camera's stream, or all."""
        if camera is None:
            for table in (self._tensors, self._memory, self._last_seq):
                table.clear()
        else:
            for table in (self._tensors, self._memory):
                table.pop(self._key(camera), None)
            self._last_seq.pop(camera, None)
        self._gaps.forget(camera)

    def _forget(self, camera: str, tensors: Mapping[str, Array], missing: int) -> None:
        """Begin the state anew, and tell once where this happens again and again."""
        for spec in self._on_gap:
            tensors[spec.input][...] = 0
        self.memory(camera).clear()
        self._gaps.missed(camera, missing)
        if (in_all := self._gaps.began_anew(camera)) is not None:
            log.warning(
                "%s: the model forgets what it saw before each frame: %d frames were missing, and its state began anew %d "
                "times in a row. Lower the camera's `fps` to what the model keeps up with, let it run in the mode "
                "`every_frame`, or take `gap` out of `reset` in the model's card.",
                camera,
                in_all,
                _FORGOTTEN_TOLD,
            )

    def _key(self, camera: str) -> str:
        return camera if self._per_camera else ""

    def _zeros(self, name: str) -> Array:
        spec = self._inputs[name]
        return np.zeros(spec.shape, spec.numpy_dtype)
