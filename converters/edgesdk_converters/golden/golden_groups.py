"""How the outputs of a golden set are divided into what is compared by itself."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_converters.proving.parity import CHANNEL_GROUPS
from edgesdk_targets.golden.golden_file import Group
from edgesdk_targets.tensor import TensorSpec


def groups_of(outputs: Sequence[TensorSpec], head: str | None) -> tuple[Group, ...]:
    """Divide the outputs as parity does; one whose size depends on the picture has nothing to compare value by value."""
    axis, channels = CHANNEL_GROUPS.get(head or "", (0, {}))
    groups: list[Group] = []
    for spec in outputs:
        if spec.dynamic:
            continue
        if not channels or len(spec.shape) < 3 or len(spec.shape) <= axis:
            groups.append(Group(name=spec.name, output=spec.name))
            continue
        groups += [
            Group(name=f"{spec.name}.{name}", output=spec.name, axis=axis, start=part.start or 0, stop=part.stop)
            for name, part in channels.items()
        ]
    return tuple(groups)
