"""What simulated devices say is what the fleet reads: every message by its own reader, and unreadable where it is meant to be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.sim.faults import Faults, Shares, malformed_payload
from edgesdk.fleet.sim.outbox import Gone, Kept, Kind
from edgesdk.fleet.sim.profiles import PROFILES, profile_named
from edgesdk.fleet.sim.reports import ResultTexts
from edgesdk.fleet.sim.speech import Said, Speech
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import decode
from edgesdk_targets.topics import Node

_TEXTS = ResultTexts(1)
_SPEECH = Speech(Node("sim-00001"), "life", "boot", "1 sim", PROFILES["steady"], _TEXTS)
moments = st.integers(0, 4_000_000_000_000)


def _received(said: Said) -> Received:
    topic = said.line.topic[2:].decode()
    return Received(topic, said.payload, said.line.properties[4:].decode())


@given(st.sampled_from([Kind.RESULT, Kind.TELEMETRY, Kind.EVENT]), st.integers(1, 1 << 40), moments, st.integers(0, 99))
def test_a_report_is_read_as_what_it_is(kind: Kind, seq: int, at_ms: int, turn: int) -> None:
    said = _SPEECH.report(Kept(seq, kind, at_ms, 0.0, turn), 3)
    got = _received(said)
    message = decode(got.topic, got.payload, got.content_type)
    assert (message.node, message.epoch, message.seq) == ("local.sim-00001", "life", seq)  # type: ignore[attr-defined]
    assert round(message.at.timestamp() * 1000) == at_ms
    reading = read(got)
    assert [record.seq for record in reading.records] == [seq]
    assert not reading.refusals
    # The same number says the same, or a store would have to choose.
    assert _SPEECH.report(Kept(seq, kind, at_ms, 9.0, turn), 3).payload == said.payload


def test_a_segment_and_a_gap_are_read() -> None:
    kept = [Kept(seq, Kind.RESULT, 1000 * seq, 0.0, seq) for seq in range(3, 93)]
    reading = read(_received(_SPEECH.segment(kept, 5)))
    assert [record.seq for record in reading.records] == list(range(3, 93))
    gone = (Gone(1, 2, {"result": 1, "telemetry": 1}), Gone(7, 7, {"event": 1}))
    reading = read(_received(_SPEECH.report(Kept(100, Kind.GAP, 5, 0.0, gone=gone), 0)))
    assert [gap.span for gap in reading.gaps] == [(1, 2), (7, 7)]


def test_what_is_said_on_a_connection_is_read_and_so_is_the_will() -> None:
    for said in (*_SPEECH.opening(1, 5, 10**12), _SPEECH.closing(1, 5, 10**12)):
        assert said.retain
        assert len(read(_received(said)).presences) == 1
    will = _SPEECH.will(2, 5, 10**12)
    (presence,) = read(Received(will.topic, will.payload, will.content_type)).presences
    assert presence.message.state == "offline"  # type: ignore[union-attr]


@given(st.integers(), st.integers(0, 63))
def test_what_is_malformed_on_purpose_is_refused_without_a_number(seed: int, turn: int) -> None:
    good = _SPEECH.report(Kept(10, Kind.RESULT, 0, 0.0, turn), 0).payload
    said = _SPEECH.unreadable(malformed_payload(good, random.Random(seed)))
    reading = read(_received(said))
    assert not reading.records
    (refusal,) = reading.refusals
    assert refusal.stream is None


def test_faults_are_drawn_by_their_shares_and_the_seed() -> None:
    shares = Shares.parse("disconnect=0.5, clock=1")
    drawn = [Faults.draw(shares, random.Random(seed)) for seed in range(400)]
    assert drawn == [Faults.draw(shares, random.Random(seed)) for seed in range(400)]
    assert 120 < sum(one.disconnects for one in drawn) < 280
    assert all(one.clock_off_ms for one in drawn)
    assert not any(one.slow or one.duplicates or one.malformed for one in drawn)


@pytest.mark.parametrize("text", ["slow", "slow=2", "slow=-1", "bored=0.1", "slow=nan"])
def test_a_share_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InputError, match="share of a fault"):
        Shares.parse(text)


def test_a_profile_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="no profile"):
        profile_named("lazy")
