"""What really happened on the conveyor, from its truth log: each digit followed, as the belt's movement is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_agent.cameras.conveyor_scene import SPEED_PX


@dataclass(slots=True)
class TrueDigit:
    """One digit: what it is, and the x of its centre by frame."""

    label: str
    lane: float
    centres: dict[int, float] = field(default_factory=dict)

    def crosses(self, x: float) -> bool:
        """Tell whether it goes over this x; the belt moves to the left."""
        return max(self.centres.values()) > x > min(self.centres.values())

    def frames_within(self, left: float, right: float) -> list[int]:
        """Return the frames in which its centre is between two x."""
        return [frame for frame, x in self.centres.items() if left <= x < right]


def true_digits(path: Path) -> tuple[list[TrueDigit], int]:
    """Return the digits that were wholly seen, and the number of frames."""
    digits: list[TrueDigit] = []
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        frame = line["seq"]
        for (x1, y1, x2, y2), label in zip(line["boxes"], line["labels"], strict=True):
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            digit = next(
                (
                    d
                    for d in digits
                    if d.label == label
                    and frame - 1 in d.centres
                    and abs(d.centres[frame - 1] - SPEED_PX - x) < 1
                    and abs(d.lane - y) < 10
                ),
                None,
            )
            if digit is None:
                digits.append(digit := TrueDigit(label, y))
            digit.centres[frame] = x
    return digits, len(lines)
