"""Looks at the fleet every few seconds, writes what begins and ends, and sends what people are to be told.

Looking and sending are apart: a mail server that does not answer delays no alert. A notice is written down in the same
transaction as its alert and sent afterwards, so that a crash between both tells late, and not never.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from sqlalchemy import Engine

from edgesdk.fleet.alerts.channel_settings import Seal, channel_from
from edgesdk.fleet.alerts.notice import Notice, Told
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk.fleet.alerts.notify.mqtt import Say
from edgesdk.fleet.alerts.round import Outcome, look
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.store import alert_rules, alerts, jobs, vitals
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.trouble import Trouble
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)

_EVERY_S = 5.0
_BASELINE_EVERY_S = 3600.0
_ATTEMPTS = 8
_FIRST_RETRY_S = 10.0
_LAST_RETRY_S = 1800.0
# Who sends a notice has it to himself for so long: longer than a mail server takes that is slow at every word.
_SENDING_S = 300.0
# A receiver that asks for more patience than this is not obeyed.
_MOST_PATIENCE_S = 6 * 3600.0


class AlertWatch:
    """Evaluates rules on a store and tells people.

    Args:
        engine: the store.
        seal: opens the channels' secrets.
        say: publishes over the fleet's own connection, for channels of the kind `mqtt`; connected: whether there is one.
        blind_since: since when the collector has heard nobody, in seconds since 1970; None while it hears.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        seal: Seal,
        *,
        say: Say | None = None,
        connected: Callable[[], bool] = lambda: False,
        blind_since: Callable[[], float | None] = lambda: None,
        every_s: float = _EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._seal = seal
        self._say = say
        self._connected = connected
        self._blind_since = blind_since
        self._every_s = every_s
        self._clock = clock
        self._baselines: dict[int, float] = {}
        self._baselines_at = float("-inf")
        # Of several services on one store, one looks and one sends.
        self._holder = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"edgesdk-alerts-{work.__name__}", daemon=True)
            for work in (self.look, self.send)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it; what is being sent is waited for so long."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    def look(self) -> Outcome:
        """Look once, and write what it came to."""
        now = self._clock()
        now_ms = int(now * 1000)
        with reading(self._engine) as connection:
            rules = alert_rules.list_rules(connection)
            watched = alerts.read_watched(connection)
            if not rules and not watched:
                return Outcome()
            silences = list(alert_rules.list_silences(connection, now_ms).values())
            known = alert_rules.list_channels(connection)
            if self._wants_baselines(list(rules.values()), now):
                self._baselines, self._baselines_at = vitals.read_baselines(connection, now_ms), now
            found = vitals.read_vitals(connection, now_ms, self._baselines)
        outcome = look(list(rules.values()), found, watched, silences, now, blind_since=self._blind_since())
        if outcome.transitions or outcome.notices or outcome.watched != watched:
            with writing(self._engine) as connection:
                alerts.write_outcome(connection, rules, watched, outcome, known, now_ms)
        return outcome

    def send(self) -> int:
        """Send what is due, and return how many notices went out."""
        now_ms = int(self._clock() * 1000)
        with reading(self._engine) as connection:
            due = alerts.take_due(connection, now_ms)
            if not due:
                return 0
            rules = {rule.name: rule for rule in alert_rules.list_rules(connection).values()}
            known = {channel.name: channel for channel in alert_rules.list_channels(connection)}
        sent = 0
        for one in due:
            if self._stopping.is_set():
                break
            with writing(self._engine) as connection:
                began = self._clock()
                if not alerts.hold(connection, one, int(began * 1000), int((began + _SENDING_S) * 1000)):
                    # Another service has it, or its rule is gone.
                    continue
            refused = self._send_one(one, rules[one.rule], known[one.channel])
            sent += refused is None
            now_ms = int(self._clock() * 1000)
            again_ms = None
            if refused is not None and refused.again and one.attempts + 1 < _ATTEMPTS:
                delay_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2**one.attempts)
                again_ms = now_ms + int(1000 * max(delay_s, min(refused.after_s, _MOST_PATIENCE_S)))
            with writing(self._engine) as connection:
                alerts.settle(connection, one, now_ms, problem=refused.message if refused else "", again_ms=again_ms)
        return sent

    def _send_one(self, due: alerts.Due, rule: Rule, stored: alert_rules.StoredChannel) -> NotDelivered | None:
        """Send one notice; return why it was not taken."""
        try:
            channel = channel_from(
                stored.name, stored.kind, stored.settings, self._seal, say=self._say, connected=self._connected
            )
            channel.send(notice_of(due, rule))
        except NotDelivered as error:
            log.warning("%s was not told of %s: %s", due.channel, due.rule, error.message)
            return error
        except EdgeError as error:
            log.warning("The channel %s cannot be used: %s", due.channel, error.message)
            return NotDelivered(error.message, again=False)
        return None

    def _wants_baselines(self, rules: Sequence[Rule], now: float) -> bool:
        wanted = any(rule.kind == "fps_under" and rule.enabled for rule in rules)
        return wanted and now - self._baselines_at >= _BASELINE_EVERY_S

    def _run(self, work: Callable[[], object]) -> None:
        job = f"alerts-{work.__name__}"
        trouble = Trouble(log, f"Alerts: {work.__name__}")
        while not self._stopping.wait(self._every_s):
            try:
                began_ms = int(self._clock() * 1000)
                if jobs.claim(self._engine, job, self._holder, began_ms):
                    work()
                    jobs.finish(self._engine, job, self._holder, began_ms, int(self._clock() * 1000))
                trouble.over()
            except Exception as error:  # noqa: BLE001  # the thread's top: a database that is away comes back
                trouble.say(error)


def notice_of(due: alerts.Due, rule: Rule) -> Notice:
    """Return the notice again that a round had decided on; its id is the same each time."""
    states = {"firing": "firing", "still": "still", "resolved": "resolved"}
    told = tuple(
        Told(node, site, datetime.fromtimestamp(since_ms / 1000, timezone.utc), value)
        for node, site, since_ms, value in due.devices
    )
    at = datetime.fromtimestamp(due.created_ms / 1000, timezone.utc)
    return Notice(rule, states[due.transition], at, tuple(sorted(told, key=lambda one: one.node)))  # type: ignore[arg-type]
