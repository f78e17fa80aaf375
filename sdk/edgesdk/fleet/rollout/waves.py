"""Who comes when: devices in the order of a stable hash, cut into waves that grow. Pure.

The hash is of the roll-out and the device, so that every process comes to the same order, and another device is first
in each roll-out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence


def place_of(key: str, node: str) -> float:
    """Return a device's place within a roll-out, from 0 to 1, evenly spread."""
    digest = hashlib.sha256(f"{key}\0{node}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def wave_sizes(devices: int, shares: Sequence[float]) -> list[int]:
    """Return how many devices have had their turn after each wave: one at first, then each share of all.

    A wave that would add nobody, as in a small fleet, is left out.
    """
    if not devices:
        return []
    reached = [1]
    for share in shares:
        upto = min(devices, math.ceil(share * devices))
        if upto > reached[-1]:
            reached.append(upto)
    if reached[-1] < devices:
        reached.append(devices)
    return reached


def assigned(key: str, nodes: Iterable[str], shares: Sequence[float], first: str = "") -> dict[str, int]:
    """Return each device's wave, counted from 0.

    Args:
        first: this one is the first wave; whoever the hash says unless given.
    """
    order = sorted(nodes, key=lambda node: (node != first, place_of(key, node), node))
    found: dict[str, int] = {}
    begin = 0
    for wave, end in enumerate(wave_sizes(len(order), shares)):
        found |= dict.fromkeys(order[begin:end], wave)
        begin = end
    return found


def wave_of_late(key: str, node: str, shares: Sequence[float], waves: int) -> int:
    """Return the wave of a device that joins a roll-out under way, which has `waves` of them; never the first."""
    place = place_of(key, node)
    wave = 1 + sum(share < place for share in shares)
    return max(0, min(wave, waves - 1))
