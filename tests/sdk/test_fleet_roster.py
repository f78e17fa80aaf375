from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any

import pytest

from edgesdk.fleet.roster import MAX_DEVICES, Roster, Row
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Event,
    Message,
    Percentiles,
    ResultMessage,
    Sample,
    State,
    Telemetry,
    encode,
    topic_of,
)

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
HEAD: dict[str, Any] = {"node": "local.cam1", "at": AT, "epoch": "e"}


def _birth(boot: str = "b1", session: int = 1) -> Birth:
    return Birth(**HEAD, seq=1, boot_id=boot, session=session, bundle=BundleName(name="m", version="1.0.0"))


def _state(state: Any, boot: str = "b1", session: int = 1) -> State:
    return State(**HEAD, seq=1, state=state, boot_id=boot, session=session)


def _result(seq: int, epoch: str = "e", text: str = "hi") -> ResultMessage:
    head = {**HEAD, "epoch": epoch}
    return ResultMessage(
        **head, seq=seq, camera="a", frame=seq, captured_at=AT, age_ms=1.0, result={"kind": "text", "text": text}
    )


def _telemetry(seq: int) -> Telemetry:
    sample = Sample(
        at=AT,
        fps=29.5,
        dropped={"late": 3, "stopped": 1},
        age_ms=Percentiles(p95=80.0),
        temperature_c=51.0,
        lost={"result": 2},
    )
    return Telemetry(**HEAD, seq=seq, samples=(Sample(at=AT), sample))


def _roster(*messages: Message, retained: bool = False, **options: Any) -> Roster:
    roster = Roster(**options)
    for message in messages:
        roster.apply(message, retained=retained, now=0.0)
    return roster


def _row(roster: Roster, now: float = 0.0) -> Row:
    (row,) = roster.rows(now)
    return row


def test_a_device_is_a_row() -> None:
    row = _row(_roster(_birth(), _state("online"), _result(1), _telemetry(2), _result(3, text="last")))
    assert (row.node, row.state, row.bundle.name, row.bundle.version) == ("local.cam1", "online", "m", "1.0.0")
    assert (row.results, row.duplicates, row.missing, row.dropped) == (2, 0, 0, 4)
    assert row.last_result == "“last”"
    assert row.sample is not None
    assert (row.sample.fps, row.sample.age_ms.p95, row.sample.temperature_c) == (29.5, 80.0, 51.0)


def test_silence_makes_an_online_device_stale_and_a_word_brings_it_back() -> None:
    roster = _roster(_birth(), _state("online"), stale_after_s=30)
    assert _row(roster, 30.0).state == "online"
    assert _row(roster, 30.1).state == "stale"
    roster.apply(_result(1), retained=False, now=40.0)
    assert _row(roster, 41.0).state == "online"
    assert _row(roster, 41.0).heard_s == 1.0


def test_what_was_only_kept_by_the_broker_becomes_stale_too() -> None:
    roster = _roster(_birth(), _state("online"), retained=True, stale_after_s=30)
    assert _row(roster).heard_s is None
    assert _row(roster, 31.0).state == "stale"


def test_offline_does_not_become_stale() -> None:
    assert _row(_roster(_birth(), _state("offline")), 1e6).state == "offline"


@pytest.mark.parametrize("old", [("b0", 7), ("b1", 1)], ids=["of an earlier start", "of an earlier connection"])
def test_the_will_of_an_old_connection_is_ignored(old: tuple[str, int]) -> None:
    roster = _roster(_birth(session=2), _state("online", session=2), _state("offline", *old))
    assert _row(roster).state == "online"
    assert _row(roster).ignored_wills == 1
    # The control: the will of the present connection counts.
    roster.apply(_state("offline", session=2), retained=False, now=0)
    assert _row(roster).state == "offline"


PRESENT = [_birth("b2", 1), _state("online", "b2", 1)]


@pytest.mark.parametrize("order", list(itertools.permutations([*PRESENT, _state("offline", "b1", 3)])))
def test_birth_and_states_may_come_in_any_order(order: tuple[Message, ...]) -> None:
    # Whoever subscribes gets what the broker kept in the order that the broker likes.
    assert _row(_roster(*order)).state == "online"


@pytest.mark.parametrize("order", list(itertools.permutations([_birth("b2", 2), _state("offline", "b2", 2)])))
def test_a_dead_device_is_dead_in_any_order(order: tuple[Message, ...]) -> None:
    assert _row(_roster(*order, retained=True)).state == "offline"


def test_an_old_birth_does_not_undo_a_new_one() -> None:
    roster = _roster(_birth(session=3), _state("online", session=3), _birth(session=2), _state("offline", session=2))
    assert _row(roster).state == "online"


def test_a_restart_is_followed() -> None:
    roster = _roster(
        _birth("b1"), _state("online", "b1"), _state("offline", "b1"), _birth("b2"), _state("online", "b2")
    )
    assert _row(roster).state == "online"


def test_repeats_and_gaps_are_counted_per_epoch() -> None:
    roster = _roster(_result(1), _result(2), _result(2), _result(5))
    assert (_row(roster).results, _row(roster).duplicates, _row(roster).missing) == (3, 1, 2)
    roster.apply(_result(1, epoch="f"), retained=False, now=0)
    assert (_row(roster).results, _row(roster).missing) == (1, 0)


def test_an_event_is_shown_and_may_overtake() -> None:
    event = Event(**HEAD, seq=3, name="camera_lost", message="door\nis gone")
    row = _row(_roster(_result(1), event, _result(2)))
    assert (row.last_event, row.missing) == ("camera_lost: door?is gone", 0)


def test_what_cannot_be_read_is_counted_with_its_reason() -> None:
    roster = Roster()
    good = encode(_result(1))
    for topic, payload, content_type in [
        ("edgesdk/1/local.cam1/up/result", b"\xff", ""),
        ("edgesdk/1/local.cam1/up/result", b"{}", ""),
        ("edgesdk/1/local.cam2/up/result", good.payload, ""),
        ("edgesdk/1/x/up/result", good.payload, ""),
        ("edgesdk/1/local.cam1/up/tele", b"zip", "application/json+deflate"),
        ("edgesdk/1/local.cam1/up/result", good.payload.replace(b"result/1", b"result/9"), ""),
    ]:
        roster.receive(topic, payload, content_type, retained=False, now=0)
    assert (roster.messages, roster.malformed) == (6, 6)
    assert "result/9" in roster.malformed_last
    assert not roster.rows(0)
    roster.receive(str(topic_of(_result(1))), good.payload, good.content_type, retained=False, now=0)
    assert (roster.malformed, len(roster.rows(0))) == (6, 1)


def test_a_tenant_sees_its_own_devices() -> None:
    other = State(**{**HEAD, "node": "acme.cam1"}, seq=1, state="online", boot_id="b", session=1)
    assert [r.node for r in _roster(_state("online"), other, tenant="acme").rows(0)] == ["acme.cam1"]
    assert [r.node for r in _roster(_state("online"), other).rows(0)] == ["acme.cam1", "local.cam1"]


def test_invented_devices_do_not_fill_the_memory() -> None:
    roster = Roster()
    for index in range(MAX_DEVICES + 50):
        roster.apply(_state("online").model_copy(update={"node": f"local.d{index}"}), retained=False, now=0)
    assert len(list(roster)) == MAX_DEVICES


def test_results_kept_by_a_broker_are_not_counted_as_new() -> None:
    assert _row(_roster(_result(1), retained=True)).results == 0


def test_the_document_has_stable_keys() -> None:
    import json

    document = _roster(_birth(), _telemetry(1)).to_json(0.0)
    json.dumps(document, allow_nan=False)
    assert set(document) == {"devices", "messages", "malformed", "malformed_last"}
    devices: Any = document["devices"]
    assert set(devices[0]) == {
        *("node", "state", "bundle", "last_result", "last_event", "heard_s", "results", "duplicates", "missing"),
        *("ignored_wills", "telemetry"),
    }
    assert devices[0]["telemetry"]["age_ms"]["p95"] == 80.0
