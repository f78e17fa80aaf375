"""From the section `frame_data` to the gates of an agent's cameras, and how their numbers change while they work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgesdk_agent.config.frame_data import FrameDataSection
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.frame_data.saving import FrameData
from edgesdk_agent.meter import FrameStats
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.frame_data.frame_gate import FrameGate


class AgentGates:
    """One gate a camera, where a rule holds.

    Args:
        config: its `frame_data` and cameras.
        model: that sees what goes through.

    Raises:
        InputError: frames are to be left out of a model that needs each.
    """

    def __init__(self, config: AgentConfig, model: Model | Chain) -> None:
        rules = config.frame_data.rules()
        if rules.deduplicate != "off" and (model.manifest.state or model.manifest.window is not None):
            hint = "Leave frame_data.deduplicate out."
            raise InputError("This model goes from frame to frame, and is to see those that are alike too.", hint=hint)
        self._gates: dict[str, FrameGate] = {}
        if rules.any:
            from edgesdk_agent.frame_data.frame_gate import FrameGate

            self._gates = {camera.name: FrameGate(rules) for camera in config.cameras}
        self._told = FrameData(self._gates)

    def stages(self, camera: str) -> Sequence[FrameGate]:
        """Return the gate of a camera, if it has one."""
        return [self._gates[camera]] if camera in self._gates else []

    def take_numbers(self, section: FrameDataSection) -> None:
        """Go by other numbers from the next frame on; which rules hold stays as it was at the start."""
        for gate in self._gates.values():
            gate.take_numbers(section.rules())

    def counts(self) -> Mapping[str, int]:
        """Return what all gates counted; nothing where no rule holds."""
        return self._told.counts()

    def summary(self, stats: FrameStats) -> dict[str, Any]:
        """Return the counts, and what they saved of what a frame costs behind the gate."""
        prepare, infer = stats.preprocess.to_ms()["p50"], stats.infer.to_ms()["p50"]
        return self._told.summary(None if prepare is None or infer is None else (prepare + infer) / 1e3)
