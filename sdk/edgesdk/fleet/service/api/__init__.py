"""The resources of the HTTP API, one a file; each only asks the store and says it in JSON."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Return every resource's routes."""
    from edgesdk.fleet.service.api import (
        alert_rules,
        alerts,
        audit,
        channels,
        commands,
        devices,
        events,
        fleet,
        identity,
        live,
        metrics,
        pictures,
        results,
        rollouts,
        silences,
        template_overrides,
        templates,
        tokens,
        users,
    )

    parts = (
        fleet, devices, identity, events, results, pictures, commands, alerts, alert_rules, silences, channels, templates,
        template_overrides, rollouts, live, tokens, users, audit, metrics,
    )  # fmt: skip
    return [part.router for part in parts]
