"""From the section `pictures` to what takes snapshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.config.pictures import PicturesSection
from edgesdk_agent.drawing import draw_result
from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.evidence.snapshots import SnapshotRequest, Snapshots
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.frame_data.jpeg_budget import JpegBudget

_DAY_S = 86400.0


def snapshots_of(section: PicturesSection, on_kept: Callable[[SnapshotRequest, Path, int], None]) -> Snapshots | None:
    """Return what takes snapshots, or None where pictures are off.

    Args:
        on_kept: is given each that is kept, its file and its bytes.
    """
    if not section.enabled:
        return None
    store = section.folder and PictureStore(
        section.folder, keep_s=section.keep_days * _DAY_S, max_bytes=section.max_bytes
    )
    return Snapshots(
        JpegBudget(section.snapshot_bytes),
        annotate=_annotate if section.annotated else None,
        per_minute=section.max_per_minute,
        store=store or None,
        on_kept=on_kept,
    )


def _annotate(result: FrameResult) -> None:
    assert result.image is not None  # noqa: S101  (a snapshot has its picture)
    draw_result(result.image, result.result)
