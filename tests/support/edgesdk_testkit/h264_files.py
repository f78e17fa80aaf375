"""H.264 files as cameras make them, by GStreamer's x264: of any size, rate and length."""

from __future__ import annotations

from pathlib import Path

from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import missing_part
from edgesdk_testkit.system_gstreamer import run_pipeline


def write_h264(
    path: Path,
    *,
    width: int,
    height: int,
    fps: int,
    frames: int,
    source: Path | None = None,
    kbit_per_s: int = 2000,
    key_frame_every: int | None = None,
    b_frames: int = 0,
    preset: str = "veryfast",
) -> Path:
    """Write an MP4 or MKV file with one H.264 track, and return its path.

    Args:
        path: `.mp4` or `.mkv`.
        width, height, fps, frames: of the film.
        source: a film to take the pictures from, scaled; else a test pattern that moves.
        kbit_per_s: how much a camera would send; at a low rate a frame has the more of it.
        key_frame_every: frames; every two seconds unless given.
        b_frames: between two others; cameras send none.
        preset: of x264; its fastest ones leave out what cameras use (CABAC, deblocking), and decode for less.
    """
    pictures = (
        f'filesrc location="{source}" ! decodebin ! videoconvert'
        if source is not None
        else f"videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,framerate={fps}/1"
    )
    muxer = "matroskamux" if path.suffix == ".mkv" else "mp4mux"
    run_pipeline(
        f"{pictures} ! videoscale ! videorate ! "
        f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1,pixel-aspect-ratio=1/1 ! "
        "identity name=limit ! "
        f"x264enc bitrate={kbit_per_s} speed-preset={preset} threads=1 bframes={b_frames} b-adapt=false "
        f"key-int-max={key_frame_every or 2 * fps} rc-lookahead=0 sync-lookahead=0 ! h264parse ! {muxer} ! "
        f'filesink location="{path}"',
        # A film that is longer ends here.
        pictures=frames,
    )
    return path


def film_to_serve(folder: Path, *, width: int, height: int, fps: int, frames: int) -> Path:
    """Write a film for an RTSP server; where that or the encoder is missing the test skips, or fails if the run promises it."""
    if (why := missing_part()) is not None:
        missing(why)
    return write_h264(folder / "film.mp4", width=width, height=height, fps=fps, frames=frames)
