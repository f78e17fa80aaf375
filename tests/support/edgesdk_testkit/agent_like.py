"""A process that reports as an agent does, with the real queue, presence and link, and no camera: made to be killed.

    python -m edgesdk_testkit.agent_like URL COUNT

It puts COUNT results into the queue, prints `ready` when all are delivered, and then waits for its standard input to
close, which is a clean stop.
"""

from __future__ import annotations

import sys

from edgesdk_agent.link.link import Link
from edgesdk_agent.link.presence import Identity, Presence, utc
from edgesdk_agent.link.report_queue import Build, ReportKind, ReportQueue
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Encoded, ResultMessage, Sample, Telemetry, encode
from edgesdk_targets.topics import Node

NODE = Node("cam1")


def result(frame: int) -> Build:
    """Return what builds the result of one frame."""

    def build(epoch: str, seq: int) -> Encoded:
        return encode(
            ResultMessage(
                node=str(NODE),
                at=utc(0),
                epoch=epoch,
                seq=seq,
                camera="door",
                frame=frame,
                captured_at=utc(0),
                age_ms=1.0,
                result={"kind": "text", "text": str(frame), "confidence": 1.0},
            )
        )

    return build


def telemetry(epoch: str, seq: int) -> Encoded:
    """Build telemetry that is large enough to be deflated."""
    samples = tuple(Sample(at=utc(second), fps=float(second)) for second in range(100))
    return encode(Telemetry(node=str(NODE), at=utc(0), epoch=epoch, seq=seq, samples=samples))


def make_link(address: BrokerAddress, queue: ReportQueue, **settings: object) -> Link:
    """Return a link with short delays."""
    presence = Presence(Identity(NODE), epoch=queue.epoch, next_seq=lambda: queue.next_seq)
    fast = LinkSettings(keepalive_s=2, will_delay_s=1, retry_first_s=0.02, retry_limit_s=0.1)
    from dataclasses import replace

    return Link(address, queue, presence, settings=replace(fast, **settings))  # type: ignore[arg-type]


def main(url: str, count: int) -> None:
    queue = ReportQueue()
    link = make_link(BrokerAddress.parse(url), queue)
    link.start(require_within_s=30)
    for frame in range(count):
        queue.put(ReportKind.RESULT, result(frame))
    print("ready" if link.flush(30) else "late", flush=True)
    sys.stdin.read()
    link.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
