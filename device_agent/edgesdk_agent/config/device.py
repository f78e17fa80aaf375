"""The section `device`."""

from __future__ import annotations

import platform

from pydantic import Field

from edgesdk_agent.config.section import Name, Section
from edgesdk_targets.topics import DEFAULT_TENANT, Node, suggested_name


class DeviceSection(Section):
    """Who this device is.

    Attributes:
        name: unique in its tenant; the host's name unless given.
    """

    name: Name = Field(default_factory=lambda: suggested_name(platform.node()))
    tenant: Name = DEFAULT_TENANT

    @property
    def node(self) -> Node:
        return Node(device=self.name, tenant=self.tenant)
