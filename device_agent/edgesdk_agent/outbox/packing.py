"""Reports of one kind into a segment, as it is stored and sent."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_agent.presence import utc
from edgesdk_targets.messages import SEGMENT_RECORDS, pack_segment, plain_json

# Below what a message may be when inflated, with room for the head.
_MAX_PLAIN_BYTES = 900 << 10


def fitting(reports: Sequence[StoredReport]) -> list[tuple[StoredReport, bytes]]:
    """Return the first reports that go into one segment, with their JSON; one at least."""
    taken: list[tuple[StoredReport, bytes]] = []
    size = 0
    for report in reports[:SEGMENT_RECORDS]:
        text = plain_json(report.encoded)
        size += len(text) + 1
        if taken and size > _MAX_PLAIN_BYTES:
            break
        taken.append((report, text))
    return taken


def packed(node: str, at: float, epoch: str, reports: Sequence[tuple[StoredReport, bytes]]) -> bytes:
    """Write a segment from what `fitting` returned, in the order of the numbers."""
    ordered = sorted((report.seq, text) for report, text in reports)
    return pack_segment(node, utc(at), epoch, ordered)
