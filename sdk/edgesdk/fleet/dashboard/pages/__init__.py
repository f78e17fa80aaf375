"""One page a file: what it shows, read from the store, and its template."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Return every page's routes; they are no part of the API's description."""
    from edgesdk.fleet.dashboard.pages import (
        account,
        alert_rules,
        alerts,
        audit,
        channels,
        device,
        devices,
        enrolment,
        entrance,
        overview,
        people,
        rollouts,
        search,
        silences,
        template_overrides,
        templates,
    )

    parts = (
        entrance, overview, devices, device, alerts, alert_rules, silences, channels, search, rollouts, enrolment,
        templates, template_overrides, audit, account, people,
    )  # fmt: skip
    for part in parts:
        for route in part.router.routes:
            route.include_in_schema = False
    return [part.router for part in parts]
