"""The process in which one camera is read: it opens the camera and writes picture after picture where it is told to.

It starts with nothing of its parent but the line, and the places where Python looks for modules.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from edgesdk_agent.cameras.camera import Camera, FrameLost, SizeChanged, counts_of
from edgesdk_agent.cameras.isolation.picture_slots import SlotView
from edgesdk_agent.cameras.isolation.reader_line import LineClosed, ReaderLine
from edgesdk_targets.child_watch import behave_as_child
from edgesdk_targets.errors import CameraLost, EdgeError, InputError
from edgesdk_targets.secret_url import redact_text
from edgesdk_targets.tensor import Array


def main() -> None:
    """Run with the argument: the line's file."""
    # The parent says when to end; a terminal and a service manager tell every process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    behave_as_child()
    end = socket.socket(fileno=int(sys.argv[1]))
    line = ReaderLine(end)
    with suppress(LineClosed):
        _serve(line)
    # At once: a decoder's library may hang in its own cleaning up.
    os._exit(0)


def _serve(line: ReaderLine) -> None:
    order, _ = line.receive()
    try:
        camera = _opened(order)
    except EdgeError as error:
        line.send({"refused": _told(error)})
        return
    try:
        line.send({"info": asdict(camera.info), "counts": asdict(counts_of(camera))})
        _deliver(line, camera)
    finally:
        camera.close()


def _opened(order: dict[str, Any]) -> Camera:
    from edgesdk_agent.cameras import decoder_probe, gstreamer_library
    from edgesdk_agent.cameras.catalogue import open_camera
    from edgesdk_agent.cameras.source_options import SourceOptions
    from edgesdk_agent.pipeline_settings import apply_pipeline_settings

    gstreamer_library.beside_model = False
    apply_pipeline_settings()
    decoder_probe.learn(order["tried"])
    return open_camera(order["source"], SourceOptions(**order["options"], supervised=False))


def _deliver(line: ReaderLine, camera: Camera) -> None:
    """Answer each request for a picture, until the line is closed."""
    slots: dict[int, SlotView] = {}
    waiting: Array | None = None
    while True:
        request, files = line.receive()
        number = int(request["slot"])
        if files:
            slots[number] = SlotView(files[0])
        slot = slots[number]
        counts_of(camera).size_alarms = int(request["size_alarms"])
        if waiting is None:
            info = camera.info
            try:
                waiting = camera.read(slot.room((info.height, info.width, 3)) if info.width else None)
            except (CameraLost, FrameLost) as lost:
                line.send({"lost": _told(lost), "counts": asdict(counts_of(camera))})
                if isinstance(lost, CameraLost):
                    return
                continue
            if waiting is None:
                line.send({"end": True, "counts": asdict(counts_of(camera))})
                return
        room = slot.room(waiting.shape)
        if room is None:
            # The size changed, or this is the first picture: it is kept until the slot has grown.
            line.send({"need": waiting.nbytes})
            continue
        if waiting.ctypes.data != room.ctypes.data:
            room[:] = waiting
        height, width, _ = waiting.shape
        line.send({"shape": [height, width, 3], "fps": camera.info.fps, "counts": asdict(counts_of(camera))})
        waiting = None


def _told(error: EdgeError) -> dict[str, str]:
    kinds: dict[type[EdgeError], str] = {FrameLost: "frame", InputError: "input", SizeChanged: "size"}
    kind = next((name for one, name in kinds.items() if isinstance(error, one)), "lost")
    return {"kind": kind, "message": redact_text(error.message), "hint": redact_text(error.hint)}
