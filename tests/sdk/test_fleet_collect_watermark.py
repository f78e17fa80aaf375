"""What a device is told, against a device that forgets what it is told and a slow model of what is committed."""

from __future__ import annotations

import itertools
import math
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.collect.speaker import ack_message
from edgesdk.fleet.collect.watermark import (
    ASK_AT_LEAST_EVERY_S,
    ASK_EVERY_S,
    MAX_ASKED_RANGES,
    MAX_TOLD_RANGES,
    MUCH,
    STUCK_AFTER_S,
    TELL_EVERY_S,
    Told,
    Word,
    decide,
)
from edgesdk.fleet.store.batch import Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk_targets.messages import COLUMNS, Ack, decode, encode


def _said(told: Told, coverage: Coverage, now: float, *, repeat: bool = False) -> tuple[Word | None, Told]:
    decision = decide(told, coverage, repeat=repeat, now=now)
    assert decision.word is not None or decision.again_at > now
    return decision.word, decision.told


def test_the_first_word_is_said_at_once_even_if_nothing_is_stored() -> None:
    # It tells the device that there is a collector.
    word, _ = _said(Told(), Coverage(), 0.0)
    assert word == Word(0)


def test_progress_is_told_a_few_times_a_second_and_much_progress_at_once() -> None:
    _, told = _said(Told(), Coverage(10), 1.0)
    decision = decide(told, Coverage(11), repeat=False, now=1.01)
    assert (decision.word, decision.again_at) == (None, 1.0 + TELL_EVERY_S)
    assert _said(decision.told, Coverage(12), 1.0 + TELL_EVERY_S)[0] == Word(12)
    assert _said(decision.told, Coverage(11 + MUCH), 1.02)[0] == Word(11 + MUCH)


def test_nothing_new_is_not_told_unless_the_device_did_not_hear_it() -> None:
    _, told = _said(Told(), Coverage(10), 1.0)
    assert decide(told, Coverage(10), repeat=False, now=9.0).again_at == math.inf
    assert _said(told, Coverage(10), 9.0, repeat=True)[0] == Word(10)


def test_what_is_stored_ahead_is_told_the_highest_first_where_it_is_too_much() -> None:
    ahead = tuple((n, n) for n in range(3, 3 + 4 * MAX_TOLD_RANGES, 2))
    word, _ = _said(Told(), Coverage(1, ahead), 0.0)
    assert word == Word(1, ahead[-MAX_TOLD_RANGES:])


def test_a_hole_that_stays_is_asked_for_and_again_later() -> None:
    coverage = Coverage(5, ((8, 20),))
    _, told = _said(Told(), coverage, 0.0)
    decision = decide(told, coverage, repeat=False, now=1.0)
    assert (decision.word, decision.again_at) == (None, STUCK_AFTER_S)
    word, told = _said(decision.told, coverage, STUCK_AFTER_S)
    assert word == Word(5, ((8, 20),), ((6, 7),))
    decision = decide(told, coverage, repeat=False, now=STUCK_AFTER_S + 0.1)
    assert (decision.word, decision.again_at) == (None, STUCK_AFTER_S + ASK_EVERY_S)


def test_who_does_not_answer_is_asked_ever_more_rarely_until_something_comes() -> None:
    coverage, told, asked_at = Coverage(5, ((8, 20),)), Told(), list[float]()
    again_at = 0.0
    while len(asked_at) < 12:
        decision = decide(told, coverage, repeat=False, now=again_at)
        told, again_at = decision.told, decision.again_at
        if decision.word is not None and decision.word.want:
            asked_at.append(told.asked_at)
    waits = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert waits[:3] == [ASK_EVERY_S, 2 * ASK_EVERY_S, 4 * ASK_EVERY_S]
    assert waits[-1] == ASK_AT_LEAST_EVERY_S
    filled = decide(told, Coverage(6, ((8, 20),)), repeat=False, now=again_at)
    assert filled.told.asked == 0


def test_nothing_is_asked_for_while_a_backlog_comes_whatever_its_order() -> None:
    told, now, low = Told(), 0.0, 1000
    # Newest first, sixty at a time, one segment a second, while live reports go on: the lowest hole waits long.
    for second in range(15):
        now = float(second)
        low -= 60
        word, told = _said(told, Coverage(10, ((low, 1000 + 30 * second),)), now)
        assert word is not None
        assert word.want == ()
    word, told = _said(told, Coverage(10, ((low, 1000 + 30 * 15),)), now + STUCK_AFTER_S)
    assert word is not None
    assert word.want == ((11, low - 1),)


def test_what_is_asked_for_is_bounded_and_the_lowest() -> None:
    coverage = Coverage(0, tuple((n, n) for n in range(2, 800, 2)))
    _, told = _said(Told(), coverage, 0.0)
    word, _ = _said(told, coverage, STUCK_AFTER_S)
    assert word is not None
    assert word.want == tuple((n, n) for n in range(1, 2 * MAX_ASKED_RANGES, 2))


_ARRIVALS = st.lists(st.tuples(st.lists(st.integers(1, 25), max_size=5), st.floats(0.01, 4.0)), max_size=30)


@given(_ARRIVALS)
def test_a_device_that_believes_every_word_never_forgets_what_is_not_committed(
    arrivals: list[tuple[list[int], float]],
) -> None:
    committed, kept = set[int](), set(range(1, 26))
    coverage, told, now = Coverage(), Told(), 0.0
    for seqs, pause in arrivals:
        committed |= set(seqs)
        coverage = coverage.settle([(n, n) for n in seqs])
        decision = decide(told, coverage, repeat=any(n not in kept for n in seqs), now=now)
        told = decision.told
        if decision.word is not None:
            word = decision.word
            kept -= set(range(1, word.upto + 1))
            kept -= {n for first, last in word.have for n in range(first, last + 1)}
            wanted = {n for first, last in word.want for n in range(first, last + 1)}
            assert kept & committed == set()
            assert wanted <= kept
            assert not wanted & committed
        assert kept >= set(range(1, 26)) - committed
        assert decision.again_at > now
        now += pause
    # And in the end it is told everything, if it waits for the next word.
    last = decide(told, coverage, repeat=False, now=now + 10)
    if last.word is not None:
        kept -= set(range(1, last.word.upto + 1)) | {n for first, end in last.word.have for n in range(first, end + 1)}
    assert kept == set(range(1, 26)) - committed


def test_a_plain_word_is_written_as_its_message_writes_it() -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=timezone.utc)
    word = ack_message(Stream("local.cam1", "e1"), Word(7), at)
    assert word == encode(Ack(node="local.cam1", at=at, epoch="e1", upto=7, takes=(COLUMNS,)))
    found = decode(
        "edgesdk/1/local.cam1/down/ack",
        ack_message(Stream("local.cam1", "e1"), Word(7, ((9, 9),), ((8, 8),)), at).payload,
    )
    assert isinstance(found, Ack)
    assert (found.upto, [(r.first, r.last) for r in found.have], [(r.first, r.last) for r in found.want]) == (
        7,
        [(9, 9)],
        [(8, 8)],
    )
