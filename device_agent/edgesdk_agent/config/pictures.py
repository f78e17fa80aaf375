"""The section `pictures`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edgesdk_agent.config.section import Section


class PicturesSection(Section):
    """Whether pictures leave this device, and how long they stay on it; see docs/evidence.md.

    Attributes:
        enabled: allow snapshots and clips. Without it no picture is stored or sent, whoever asks.
        folder: where they are kept until they are old; without it snapshots are sent and not kept.
        keep_days: a picture or clip that is older is deleted.
        max_bytes: of all that is kept; the oldest goes first.
        snapshot_bytes: of each snapshot, at most: what fits is found by quality, then by size.
        annotated: draw what the model found into snapshots.
        publish: send snapshots to the broker.
        max_per_minute: snapshots of one camera.
    """

    enabled: bool = False
    folder: Path | None = None
    keep_days: float = Field(default=7.0, gt=0.0, le=3650.0)
    max_bytes: int = Field(default=512 << 20, ge=1 << 20)
    snapshot_bytes: int = Field(default=100_000, ge=2048, le=192 * 1024)
    annotated: bool = True
    publish: bool = True
    max_per_minute: int = Field(default=20, ge=1, le=600)
