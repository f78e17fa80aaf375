"""Pictures and films for tests of cameras: each picture's number survives a lossy codec, and is read back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgesdk_agent.cameras.camera import Camera
from edgesdk_targets.tensor import Array

WIDTH, HEIGHT, FRAMES = 96, 64, 12


def grey(number: int) -> Array:
    """Return a picture that says its number, modulo 12."""
    return np.full((HEIGHT, WIDTH, 3), 10 + 20 * (number % 12), np.uint8)


def number_of(picture: Array) -> int:
    return round((float(picture.mean()) - 10) / 20)


def numbers(camera: Camera) -> list[int]:
    """Read a camera to its end."""
    found = []
    while (picture := camera.read(None)) is not None:
        found.append(number_of(picture))
    return found


def write_video(path: Path, codec: str = "MJPG", frames: int = FRAMES, fps: float = 25.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(grey(number))
    writer.release()
    return path
