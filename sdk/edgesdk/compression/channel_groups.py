"""Which channels of a model can only go together, found by torch-pruning's dependency graph (Fang et al., DepGraph, 2023).

A group is left alone where a channel less would change the model's outputs, where one of its layers could not be built again
from data or shares its weight with another, and where the model does not run without some of it. What is left alone is told with
its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from edgesdk.compression.changes import Channels
from edgesdk.compression.channel_graph import dependency_graph
from edgesdk.compression.layers import sharing_layers
from edgesdk.compression.rebuilt import replay
from edgesdk.compression.resize import channels_of
from edgesdk.compression.subject import Subject, flat
from edgesdk_converters.framework_edge import needs, reason
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that go together.

    Attributes:
        name: of the layer that makes them.
        layers: all that lose channels with it.
        channels: how many there are.
        order: their places, least important first: by the group's mean L2 norm.
    """

    name: str
    layers: tuple[str, ...]
    channels: int
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChannelGroups:
    """The groups of a model.

    Attributes:
        groups: those that may lose channels, in the model's order.
        left: those that may not, with the reason.
    """

    subject: Subject
    groups: tuple[ChannelGroup, ...]
    left: Mapping[str, str]

    def pruned(self, amounts: Mapping[str, int]) -> Subject:
        """Return the model without the least important channels of some groups.

        Args:
            amounts: how many go, by the group's name.

        Raises:
            InputError: it does not run so.
        """
        order = {group.name: group.order for group in self.groups}
        module = _pruned(self.subject, {name: order[name][:amount] for name, amount in amounts.items() if amount})
        made = self.subject.changed(module, channel_changes(self.subject.module, module))
        made.check("pruning", amounts)
        return made


def find_groups(subject: Subject, skip: Sequence[str] = ()) -> ChannelGroups:
    """Find which channels of a model go together.

    Args:
        skip: patterns of names of layers that keep their channels.

    Raises:
        InputError: the model cannot be traced; names the layer where that is known.
        MissingExtra: torch-pruning is not installed.
    """
    graph, names = dependency_graph(subject.copy(), subject)
    found: list[ChannelGroup] = []
    left: dict[str, str] = {}
    shared = sharing_layers(subject.module)
    with needs("torch-pruning", extra="compress"):
        from torch_pruning.pruner.importance import GroupMagnitudeImportance
    importance = GroupMagnitudeImportance(p=2)
    for group in graph.get_all_groups(root_module_types=(_ConvNd, nn.Linear)):
        root = names[group[0].dep.target.module]
        members = [item.dep.target.module for item in group]
        stands = _stands_in_the_way(group, names, skip, shared)
        if stands is not None:
            left[root] = stands
            continue
        try:
            scores = importance(group)
        except IndexError:
            left[root] = "its channels are sliced or shuffled on their way, and torch-pruning loses which is which"
            continue
        order = tuple(int(place) for place in torch.argsort(scores, stable=True))
        layers = tuple(dict.fromkeys(names[part] for part in members if part in names))
        found.append(ChannelGroup(root, layers, len(order), order))
    groups, broken = _that_run(subject, found)
    return ChannelGroups(subject, tuple(groups), {**left, **broken})


def channel_changes(before: nn.Module, after: nn.Module) -> list[Channels]:
    """Return which layers have other channels now.

    Raises:
        InputError: something else changed, which could not be built again.
    """
    changes = []
    for name, layer in before.named_modules():
        old, new = channels_of(name, layer), channels_of(name, after.get_submodule(name))
        if new is not None and new != old:
            changes.append(new)
    rebuilt = Subject(before, ()).copy()
    replay(rebuilt, changes)
    expected, made = after.state_dict(), rebuilt.state_dict()
    if odd := [key for key in expected if key not in made or made[key].shape != expected[key].shape]:
        raise InputError(
            f"{odd[0]} lost channels and is no layer that can be built again from data.",
            hint="Leave its group out: `skip: [pattern of its layer]`.",
        )
    return changes


def _pruned(subject: Subject, places: Mapping[str, Sequence[int]]) -> nn.Module:
    module = subject.copy()
    graph, _ = dependency_graph(module, subject)
    for name, indices in places.items():
        root = module.get_submodule(name)
        group = graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, list(indices))
        group.prune()
    for part in module.modules():
        part.training = False
    return module


def _stands_in_the_way(
    group: Any, names: Mapping[nn.Module, str], skip: Sequence[str], shared: frozenset[str]
) -> str | None:
    """Say why a group has to keep its channels; None where nothing does."""
    for item in group:
        part = item.dep.target.module
        name = names.get(part)
        if isinstance(part, nn.Parameter):
            return "a parameter outside of any layer has its channels"
        if name is None:
            continue
        if any(fnmatchcase(name, pattern) for pattern in skip):
            return f"{name} is left out by the recipe"
        if name in shared:
            return f"{name} uses one weight with another layer"
        known = channels_of(name, part)
        if known is None:
            return f"{name} is {type(part).__name__}, which cannot be built again with fewer channels"
        if known.groups not in {1, known.outputs}:
            return f"{name} is a convolution in {known.groups} groups"
    return None


def _that_run(subject: Subject, groups: Sequence[ChannelGroup]) -> tuple[list[ChannelGroup], dict[str, str]]:
    """Return the groups without half of which the model still gives outputs of the same shapes."""
    if not groups or _outputs_stay(subject, groups) is None:
        return list(groups), {}
    said = {group.name: _outputs_stay(subject, [group]) for group in groups}
    broken = {name: why for name, why in said.items() if why is not None}
    return [group for group in groups if group.name not in broken], broken


def _outputs_stay(subject: Subject, groups: Sequence[ChannelGroup]) -> str | None:
    """Return what becomes of the model without half of some groups; None where all is well."""
    expected = [tensor.shape for tensor in subject.run()]
    try:
        module = _pruned(subject, {group.name: group.order[: group.channels // 2] for group in groups})
        channel_changes(subject.module, module)
        with torch.no_grad():
            shapes = [tensor.shape for tensor in flat(module(*subject.example))]
    except Exception as error:  # noqa: BLE001  (the user's code, and the tracer, may raise anything)
        log.debug("%s", error)
        return f"the model does not run without some of it: {reason(error)}"
    return None if shapes == expected else "its channels are the model's outputs"
