"""Process-wide settings that decide the pipeline's speed, made in one place by whoever owns the process.

They are made by the agent's and the CLI's start, never on import: an embedder's process belongs to the embedder.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

# TCP, as frames torn by lost packets are worse than late ones. `fpsprobesize` ends the analysis of a stream when its format
# is known: FFmpeg would watch it for up to five seconds more to guess its rate, and hand the pictures of that time over
# afterwards, when they are old (docs/decisions/0007).
FFMPEG_OPTIONS = "rtsp_transport;tcp|fpsprobesize;2"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How this process uses its cores.

    Attributes:
        opencv_threads: one by default: the pipeline's own threads are the parallelism, and OpenCV's would contend.
        switch_interval_s: how long a thread may keep Python's lock; short, so that a slow callback in pure Python
            does not hold up the threads that wait for it after work in C.
        ffmpeg_options: for films and network cameras, where the environment sets none.
        ffmpeg_log_level: FFmpeg's number; 16 prints errors, 8 only what is fatal.
    """

    opencv_threads: int = 1
    switch_interval_s: float = 0.0005
    ffmpeg_options: str = FFMPEG_OPTIONS
    ffmpeg_log_level: int = 8


def apply_pipeline_settings(settings: PipelineSettings | None = None) -> None:
    """Make the settings; call it once, before threads are started and cameras opened.

    The environment wins: `OPENCV_FFMPEG_CAPTURE_OPTIONS`, `OPENCV_FFMPEG_LOGLEVEL` and `OPENCV_LOG_LEVEL` are kept where they are
    set.
    """
    settings = settings or PipelineSettings()
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", settings.ffmpeg_options)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", str(settings.ffmpeg_log_level))
    sys.setswitchinterval(settings.switch_interval_s)
    from edgesdk_targets.preprocess.opencv import cv2

    cv2.setNumThreads(settings.opencv_threads)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # Its warnings of a film or camera say in other words what is raised here.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
