"""Cameras for the live parts: films that are served by processes of their own, with the time in their pixels or without."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgesdk_testkit.h264_files import write_h264
from edgesdk_testkit.rtsp_server import RtspServer, looped, missing_part, stamped
from edgesdk_testkit.stamped_mjpeg import StampedMjpeg

FPS = 30.0
TRANSPORTS = ("MJPEG over HTTP", "H.264 over RTSP")


def without(transport: str) -> str | None:
    """Say what is missing for a transport, or None."""
    return missing_part() if "RTSP" in transport else None


@contextlib.contextmanager
def camera(transport: str, film: Path, *, fps: float = FPS) -> Iterator[str]:
    """Serve a film of which every picture carries the moment it was made; gives the address."""
    server = RtspServer(stamped(film, fps=fps)) if "RTSP" in transport else StampedMjpeg(film, fps=fps)
    with server as url:
        yield url


@contextlib.contextmanager
def stamped_cameras(film: Path, count: int, *, fps: float) -> Iterator[list[str]]:
    """Serve several such cameras over MJPEG, each from a process of its own: none waits for another."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(StampedMjpeg(film, fps=fps)) for _ in range(count)]


@contextlib.contextmanager
def network_cameras(film: Path, count: int, *, fps: float) -> Iterator[list[str]]:
    """Serve several cameras over RTSP as encoded before, which costs the machine almost nothing."""
    server = RtspServer(*[looped(film, fps=fps, name=f"camera{n}") for n in range(count)])
    with server:
        yield list(server.urls)


def full_hd(film: Path, cache: Path, *, fps: int) -> Path:
    """Return the film in 1920x1080 as a camera would send it; made once."""
    path = cache / f"full-hd-{fps}.mp4"
    if not path.is_file():
        partial = path.with_name(f"partial-{path.name}")
        write_h264(partial, width=1920, height=1080, fps=fps, frames=fps * 20, source=film, kbit_per_s=2000)
        partial.rename(path)
    return path
