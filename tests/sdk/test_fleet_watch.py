from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from edgesdk.fleet.roster import Roster
from edgesdk.fleet.watch import table
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Birth, BundleName, Percentiles, ResultMessage, Sample, State, Telemetry

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
ADDRESS = BrokerAddress.parse("mqtt://me:hunter2@box")


def _drawn(roster: Roster, *, width: int = 140, connected: bool = True) -> str:
    written = io.StringIO()
    Console(width=width, file=written).print(table(roster, ADDRESS, connected=connected, width=width))
    return written.getvalue()


def _roster(**sample: Any) -> Roster:
    import time

    roster = Roster()
    head: dict[str, Any] = {"node": "local.gate-1", "at": AT, "epoch": "e"}
    bundle = BundleName(name="digits", version="1.2.0")
    values: dict[str, Any] = {
        "fps": 29.7,
        "dropped": {"late": 7},
        "age_ms": Percentiles(p95=81.2),
        "temperature_c": 55.4,
    }
    for message in (
        Birth(**head, seq=1, boot_id="b", session=1, bundle=bundle),
        State(**head, seq=1, state="online", boot_id="b", session=1),
        ResultMessage(
            **head, seq=1, camera="a", frame=0, captured_at=AT, age_ms=1, result={"kind": "text", "text": "42[red]"}
        ),
        Telemetry(**head, seq=2, samples=(Sample(at=AT, **{**values, **sample}),)),
    ):
        roster.apply(message, retained=False, now=time.monotonic())
    return roster


@pytest.mark.parametrize("width", [80, 100, 140])
def test_what_matters_is_on_every_terminal(width: int) -> None:
    drawn = _drawn(_roster(), width=width)
    for text in ("local.gate-1", "online", "digits 1.2.0", "29.7", "81 ms", "7", "“42[red]”", "55 °C"):
        assert text in drawn
    assert max(map(len, drawn.splitlines())) <= width


def test_a_long_result_is_cut_and_nothing_else() -> None:
    roster = _roster()
    message = ResultMessage(
        node="local.gate-1",
        at=AT,
        epoch="e",
        seq=3,
        camera="a",
        frame=1,
        captured_at=AT,
        age_ms=1,
        result={"kind": "text", "text": "word " * 30},
    )
    roster.apply(message, retained=False, now=0)
    drawn = _drawn(roster, width=90)
    assert max(map(len, drawn.splitlines())) <= 90
    for text in ("local.gate-1", "digits 1.2.0", "29.7", "81 ms", "“word", "…", "55 °C"):
        assert text in drawn


def test_a_wide_terminal_shows_more() -> None:
    assert "heard" in _drawn(_roster())
    assert "heard" not in _drawn(_roster(), width=100)


def test_a_loss_is_shown_on_a_narrow_terminal_too() -> None:
    assert "lost" not in _drawn(_roster(), width=100)
    assert "lost" in _drawn(_roster(lost={"result": 3}), width=100)


def test_nothing_known_is_a_dash_and_never_an_error() -> None:
    import time

    roster = Roster()
    state = State(node="local.x", at=AT, epoch="e", seq=1, state="offline", boot_id="b", session=1)
    roster.apply(state, retained=True, now=time.monotonic())
    assert "offline" in _drawn(roster)
    assert "No device" in _drawn(Roster())


def test_a_lost_connection_and_unreadable_messages_are_shown() -> None:
    roster = _roster()
    roster.receive("edgesdk/1/local.x/up/result", b"?", "", retained=False, now=0)
    drawn = _drawn(roster, connected=False)
    assert "no connection" in drawn
    assert "1 unreadable" in drawn
    assert "hunter2" not in drawn
