"""Messages that no reader of edgesdk's topics can take, made by hypothesis, always the same ones."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import DEFLATED, JSON, Encoded, Event, decode, gap_of

_DAMAGES = 20

_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_UP = {"node": "local.cam1", "at": "2026-01-31T12:00:00Z", "epoch": "e1", "seq": 3}
_RESULT = {
    **_UP,
    "schema": "result/1",
    "camera": "door",
    "frame": 3,
    "captured_at": "2026-01-31T12:00:00Z",
    "age_ms": 1.0,
    "result": {"kind": "text"},
}
GOOD: dict[str, dict[str, Any]] = {
    "result": _RESULT,
    "tele": {**_UP, "schema": "tele/1", "samples": [{"at": "2026-01-31T12:00:00Z"}]},
    "event": {
        **_UP,
        "schema": "event/1",
        "name": "gap",
        "data": {"ranges": [{"first": 1, "last": 2, "cause": "crash"}]},
    },
    "birth": {**_UP, "schema": "birth/1", "boot_id": "b", "session": 1},
    "state": {**_UP, "schema": "state/1", "state": "online", "boot_id": "b", "session": 1},
    "reported": {**_UP, "schema": "reported/1"},
    "segment": {**_UP, "schema": "segment/1", "first": 3, "last": 3, "records": [_RESULT]},
}


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, Encoded]:
    """Draw a channel and a good message with fields replaced, added or cut off; or no JSON at all."""
    channel = draw(st.sampled_from(sorted(GOOD)))
    body = dict(GOOD[channel])
    for key in draw(st.lists(st.sampled_from(sorted(body)), max_size=3)):
        body[key] = draw(_JSON_VALUES)
    if draw(st.booleans()):
        body[draw(st.text(max_size=5))] = draw(_JSON_VALUES)
    text = json.dumps(body).encode()
    packed = zlib.compress(text)
    payload = draw(st.sampled_from([text, packed, text[:-3], packed[:-4], packed + b"x"]) | st.binary())
    return channel, Encoded(payload, draw(st.sampled_from([JSON, DEFLATED, "", "text/plain"])))


def malformed_messages(count: int) -> list[tuple[str, Encoded]]:
    """Return so many topics with messages that are refused, each by the rules of the wire."""
    found: list[tuple[str, Encoded]] = []

    @seed(5)
    @settings(
        max_examples=count // _DAMAGES + 50,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(), st.integers(0, 1 << 32))
    def collect(message: tuple[str, Encoded], number: int) -> None:
        channel, body = message
        topic, chance = f"edgesdk/1/local.cam1/up/{channel}", random.Random(number)
        # Drawing is slow: of each that is drawn, several are made by damaging bytes.
        for payload in (body.payload, *(damaged(body.payload, chance) for _ in range(2 * _DAMAGES))):
            if len(found) < count and _is_refused(topic, payload, body.content_type):
                found.append((topic, Encoded(payload, body.content_type)))

    collect()
    assert len(found) == count
    return found


def damaged(payload: bytes, chance: random.Random) -> bytes:
    """Return a payload with a few bytes put in, taken out or changed."""
    damaged = bytearray(payload)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damaged) + 1)
        damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    return bytes(damaged)


def _is_refused(topic: str, payload: bytes, content_type: str) -> bool:
    try:
        message = decode(topic, payload, content_type)
        if isinstance(message, Event):
            gap_of(message)
    except InputError:
        return True
    return False
