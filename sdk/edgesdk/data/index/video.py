"""Videos: each frame is a picture, all frames of one video belong together."""

from __future__ import annotations

from pathlib import Path

from edgesdk.data.findings import Finding
from edgesdk.data.index.inside import leads_out
from edgesdk.data.index.item import Item, Part
from edgesdk_targets.preprocess.opencv import cv2

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v"})
# A container's claim is not believed beyond this.
_MOST_FRAMES = 10_000_000


def videos_in(path: Path) -> list[Path]:
    """Return a video, or those directly in a folder, sorted."""
    if path.is_file():
        return [path] if path.suffix.lower() in VIDEO_SUFFIXES else []
    return sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())


def index_videos(part: Part, root: Path, every: int) -> tuple[list[Item], list[Finding]]:
    """List every n-th frame of a part's videos."""
    items: list[Item] = []
    found: list[Finding] = []
    for path in videos_in(part.pictures):
        name = path.relative_to(root).as_posix() if path != root else path.name
        if path != part.pictures and leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed", part.split))
            continue
        frames = _frames(path)
        if not frames:
            found.append(Finding("corrupt", name, "not a video that can be read, or without frames", part.split))
        items += [
            Item(
                path,
                f"{name}#{n}",
                f"{path.stem}_frame_{n:06d}.png",
                part.split,
                (),
                labelled=False,
                group=name,
                frame=n,
            )
            for n in range(0, frames, every)
        ]
    return items, found


def _frames(path: Path) -> int:
    """Return what the container claims; what cannot be read of it is found when it is read."""
    capture = cv2.VideoCapture(str(path))
    try:
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        if capture.isOpened() and stated <= 0:
            stated = 0
            while stated < _MOST_FRAMES and capture.grab():
                stated += 1
        return min(stated, _MOST_FRAMES)
    finally:
        capture.release()
