"""A trial: a notice by which a channel is tried, and which says of itself that nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from edgesdk.fleet.alerts.notice import Notice, Told
from edgesdk.fleet.alerts.notify.delivery import Channel
from edgesdk.fleet.alerts.notify.mqtt import Mqtt
from edgesdk.fleet.alerts.rule import Rule

_RULE = Rule(name="trial", kind="offline_for", limit=1, severity="info")


def send_trial(channel: Channel, at: datetime) -> str:
    """Send a trial once and return its id.

    What a broker retains must not go on after a trial: there it begins and ends.

    Raises:
        NotDelivered: the channel did not take it.
    """
    notice = Notice(_RULE, "firing", at, (Told("local.trial", "", at),), trial=True)
    channel.send(notice)
    if isinstance(channel, Mqtt):
        channel.send(replace(notice, state="resolved"))
    return notice.id
