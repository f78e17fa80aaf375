"""A camera of your own: pictures that another program writes, through a pipeline.

    ffmpeg -i film.mp4 -f rawvideo -pix_fmt bgr24 - | python own_camera.py BUNDLE --size 640x360

A camera is any object with `info`, `read` and `close`; this one takes (H, W, 3) bytes in BGR, one picture after the other, from
standard input or from the file that --input names, such as a named pipe.
"""

from __future__ import annotations

import argparse
import select
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

import edgesdk


class RawVideo:
    """Pictures of one size, without anything between them."""

    def __init__(self, file: BinaryIO, width: int, height: int) -> None:
        # Whoever writes waits until we read: nothing is lost, so it is not live, and every frame gets its result.
        self.info = edgesdk.CameraInfo(width, height, fps=None, live=False, description="raw video")
        self._file = file
        self._closed = threading.Event()

    def read(self, out: np.ndarray | None) -> np.ndarray | None:
        """Return the next picture, in `out` where its shape fits, or None at the end; one thread calls it."""
        shape = (self.info.height, self.info.width, 3)
        picture = out if out is not None and out.shape == shape else np.empty(shape, np.uint8)
        rest = memoryview(picture).cast("B")
        while rest:
            # `close` comes from another thread, and must not have to wait for whoever writes.
            readable, _, _ = select.select([self._file], [], [], 0.1)
            if self._closed.is_set():
                return None
            if not readable:
                continue
            count = self._file.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                if len(rest) == picture.nbytes:
                    return None
                raise edgesdk.CameraLost(
                    "The stream ends within a picture.", hint="Give the --size that is written to it."
                )
            rest = rest[count:]
        return picture

    def close(self) -> None:
        """Wake `read`; may be called twice."""
        self._closed.set()


def size(text: str) -> tuple[int, int]:
    """Read 640x360."""
    width, height = map(int, text.split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--size", required=True, type=size, metavar="WxH")
    parser.add_argument("--input", default="/dev/stdin", metavar="FILE")
    options = parser.parse_args()
    with edgesdk.load(options.bundle) as model, Path(options.input).open("rb", buffering=0) as file:
        camera: edgesdk.Camera = RawVideo(file, *options.size)
        pipeline = edgesdk.Pipeline(model, camera)
        for frame in pipeline:
            print(f"frame {frame.seq}: {len(frame.result)} objects", flush=True)
    stats: edgesdk.FrameStats = pipeline.stats()
    print(f"{stats.processed} of {stats.captured} frames")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except edgesdk.EdgeError as error:
        sys.exit(f"error: {error}")
