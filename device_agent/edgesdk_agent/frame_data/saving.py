"""What leaving frames out saved: inferences that were not run, and what the looking cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesdk_agent.frame_data.frame_gate import FrameGate


class FrameData:
    """The gates of all cameras, told together.

    Args:
        gates: by camera.
    """

    def __init__(self, gates: Mapping[str, FrameGate]) -> None:
        self._gates = dict(gates)

    def counts(self) -> Mapping[str, int]:
        """Return `seen`, frames left out by cause, `left_out` in all, and `cost_us`; nothing where no rule holds."""
        if not self._gates:
            return {}
        total: dict[str, int] = {}
        for gate in self._gates.values():
            for name, count in gate.counts().items():
                total[name] = total.get(name, 0) + count
        total["left_out"] = sum(count for name, count in total.items() if name not in {"seen", "cost_us"})
        return total

    def summary(self, prepare_and_infer_s: float | None) -> dict[str, Any]:
        """Return the counts with what they mean.

        Args:
            prepare_and_infer_s: what one frame costs behind the gate; None where no frame went through.
        """
        counts = self.counts()
        if not counts:
            return {}
        seen, left_out = counts["seen"], counts["left_out"]
        cost_s = counts["cost_us"] / 1e6
        saved_s = None if prepare_and_infer_s is None else round(left_out * prepare_and_infer_s - cost_s, 3)
        return {
            **counts,
            "saved_part": round(left_out / seen, 4) if seen else 0.0,
            "cost_us_per_frame": round(counts["cost_us"] / seen, 1) if seen else 0.0,
            "saved_s": saved_s,
        }
