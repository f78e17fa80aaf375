"""Stages that a test sends to processes of their own; what they do they do at frames of known numbers."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np

from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.results import Regression
from edgesdk_targets.tensor import Array

# One camera's frames at which a stage fails, each in its own way.
FAULTY = "door"
RAISES_AT, ENDS_AT, WRONG_AT, HANGS_AT = 3, 5, 7, 9


def all_kinds(frame: Frame) -> Array | None:
    """By turns: the picture, written into; another one, larger; a part of it; a turned part; nothing."""
    image = frame.image
    image[-1] = frame.seq
    turn = frame.seq % 5
    if turn == 1:
        return np.tile(image, (2, 3, 1))
    if turn == 2:
        return image[: image.shape[0] // 2 + 1]
    if turn == 3:
        return image[::-1, ::-1]
    return None if turn == 4 else image


def with_faults(frame: Frame) -> Any:
    """Let everything through, but for the faults."""
    return "no picture" if _fails(frame) else frame.image


def doubled(result: FrameResult) -> Any:
    """Double the values, draw into the picture, and keep every seventh result back; but for the faults."""
    if _fails(result):
        return result.result
    if result.seq % 7 == 6:
        return None
    if result.image is not None:
        result.image[-1] = result.seq
    assert isinstance(result.result, Regression)
    return replace(result, result=Regression(result.result.values * 2))


def slow(frame: Frame) -> Array:
    """Take some of Python's time."""
    until = time.perf_counter() + 0.002
    while time.perf_counter() < until:
        pass
    return frame.image


def ends(frame: Frame) -> Array:
    """End the process each time."""
    os._exit(3)


def hangs(frame: Frame) -> Array:
    """Never return."""
    threading.Event().wait()
    return frame.image


def _fails(one: Frame | FrameResult) -> bool:
    """Raise, end the process or hang where that is due, and say whether something wrong is to be returned."""
    if one.camera == FAULTY and one.seq == RAISES_AT:
        raise ValueError("no 3")
    if one.camera == FAULTY and one.seq == ENDS_AT:
        os._exit(3)
    if one.camera == FAULTY and one.seq == HANGS_AT:
        threading.Event().wait()
    return one.camera == FAULTY and one.seq == WRONG_AT
