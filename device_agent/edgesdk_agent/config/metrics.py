"""The section `metrics`: Prometheus' endpoint."""

from __future__ import annotations

from pydantic import Field

from edgesdk_agent.config.section import Section


class MetricsSection(Section):
    """Serve `/metrics` for Prometheus and `/healthz`; see docs/health.md.

    Attributes:
        port: where; none is served unless given, 0 takes a free one.
        host: the loopback unless told otherwise; there is no login, so that a network that is not yours must not reach it.
    """

    port: int | None = Field(default=None, ge=0, le=65535)
    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
