"""Words to devices as messages: what is stored of each, on its own `down/ack`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timezone

from edgesdk.fleet.collect.subscription import Subscription
from edgesdk.fleet.collect.watermark import MAX_TOLD_RANGES, Word, still_missing
from edgesdk.fleet.store.batch import Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk_targets.messages import COLUMNS, JSON, Ack, Encoded, SeqRange, encode
from edgesdk_targets.topics import PREFIX, Channel

# A word to a device that is away is worth nothing later: it hears a newer one when it is born.
_WORD_EXPIRES_S = 60
_ACK = Channel.ACK.value
ReadCoverage = Callable[[Stream], Awaitable[Coverage]]


class Speaker:
    """Says words to devices.

    Args:
        subscription: what they are said through.
        read_coverage: what anybody has stored of a stream; None where nobody else stores anything.
    """

    def __init__(self, subscription: Subscription, read_coverage: ReadCoverage | None) -> None:
        self._subscription = subscription
        self._read_coverage = read_coverage

    async def say(self, stream: Stream, word: Word) -> bool:
        """Say one, when there is room; False where it cannot be said now."""
        if word.want and self._read_coverage is not None:
            # What we miss, another collector may have stored.
            word = await self._refreshed(self._read_coverage, stream, word)
        body = ack_message(stream, word, datetime.now(timezone.utc))
        topic = f"{PREFIX}/{stream.node}/{_ACK}"
        return await self._subscription.publish(
            topic, body.payload, content_type=body.content_type, expiry_s=_WORD_EXPIRES_S
        )

    async def _refreshed(self, read_coverage: ReadCoverage, stream: Stream, word: Word) -> Word:
        try:
            coverage = await read_coverage(stream)
        except StoreBusy:
            return word._replace(want=())
        return word._replace(
            upto=coverage.upto, have=coverage.ahead[-MAX_TOLD_RANGES:], want=still_missing(word, coverage)
        )


def _plain() -> bytes:
    """Return what is said to a device of which nothing is missing, with places for what differs.

    It is one of two messages of a collector, and costs a quarter so.
    """
    at = datetime(1999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)
    text = encode(Ack(node="NODE.NODE", at=at, epoch="EPOCH", upto=7_111_111, takes=(COLUMNS,))).payload
    for mark, place in (
        (b"NODE.NODE", b"%b"),
        (b"1999-12-31T23:59:59.999Z", b"%b"),
        (b"EPOCH", b"%b"),
        (b"7111111", b"%d"),
    ):
        text = text.replace(mark, place)
    return text


_PLAIN = _plain()


def ack_message(stream: Stream, word: Word, at: datetime) -> Encoded:
    """Return a word as it travels; `at` is in UTC."""
    if not word.have and not word.want:
        moment = f"{at.isoformat(timespec='milliseconds')[:23]}Z"
        return Encoded(_PLAIN % (stream.node.encode(), moment.encode(), stream.epoch.encode(), word.upto), JSON)
    ack = Ack(
        node=stream.node,
        at=at,
        epoch=stream.epoch,
        upto=word.upto,
        have=tuple(SeqRange(first=first, last=last) for first, last in word.have),
        want=tuple(SeqRange(first=first, last=last) for first, last in word.want),
        takes=(COLUMNS,),
    )
    return encode(ack)
