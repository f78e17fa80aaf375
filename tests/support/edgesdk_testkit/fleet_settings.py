"""What people set, written into a fleet's store: channels and how they do, and a template that some devices follow."""

from __future__ import annotations

import time

from sqlalchemy import Engine, insert, select, update

from edgesdk.fleet.alerts.scope import Scope
from edgesdk.fleet.alerts.silence import Silence, Weekly
from edgesdk.fleet.store.alert_rules import add_silence, put_channel
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.tables import alerts, nodes, notifications
from edgesdk.fleet.store.templates import put_override, put_template
from edgesdk_targets.enrolment import configuration_digest

TEMPLATE = {
    "bundle": "counter-2.1.0.edgebundle", "cameras": [{"name": "door", "source": "v4l2:/dev/video0", "fps": 15}],
    "telemetry": {"interval_s": 10},
}  # fmt: skip


def seed_settings(engine: Engine) -> None:
    """Write three channels, one of them in trouble, a silence, and a template with three devices, two of which differ."""
    at_ms = int(time.time() * 1000)
    mail = {"host": "mail.example.org", "port": 587, "security": "starttls", "username": "fleet", "password": "sealed:x",
            "sender": "fleet@example.org", "recipients": ["ops@example.org", "night@example.org"]}  # fmt: skip
    with writing(engine) as connection:
        hook = put_channel(connection, "ops", "webhook", {"url": "https://hooks.example.org/T0/letmein"}, at_ms)
        post = put_channel(connection, "mail", "email", mail, at_ms)
        put_channel(connection, "lamp", "mqtt", {}, at_ms, enabled=False)
        alert = connection.execute(select(alerts.c.id).limit(1)).scalar_one()
        told = {"alert": alert, "transition": "firing", "attempts": 1, "due_ms": at_ms}
        connection.execute(insert(notifications).values(
            channel=hook, state="sent", created_ms=at_ms - 600_000, sent_ms=at_ms - 599_000, **told))  # fmt: skip
        connection.execute(insert(notifications).values(
            channel=post, state="waiting", created_ms=at_ms - 60_000, problem="mail.example.org does not take the login.", **told,
        ))  # fmt: skip
        night = Weekly(start="22:00", end="06:00", timezone="Europe/Berlin")
        add_silence(connection, Silence(scope=Scope(sites=("Harbour",)), weekly=night, reason="closed"), "test", at_ms)
        put_template(connection, "shop", TEMPLATE, "test", at_ms, "every shop's door")
        put_template(connection, "depot", {"bundle": "pallets-1.0.0.edgebundle"}, "test", at_ms - 86_400_000)
        put_override(connection, "shop", "site", "Mill Lane", {"telemetry": {"interval_s": 30}}, "test", at_ms)
        digest = configuration_digest(TEMPLATE)
        for number, configuration in enumerate((digest, digest, "")):
            row = update(nodes).where(nodes.c.name == f"local.cam-{number:04}")
            connection.execute(
                row.values(template="shop", hardware={"model": "Raspberry Pi 5", "configuration": configuration})
            )
