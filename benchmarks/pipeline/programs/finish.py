"""The end of each frame's way, the same for all programs: JSON, and a message to the broker.

Quality of service 1, as the agent's: a result counts when the broker has it. In live runs the message carries the stamp
that the camera drew into the picture, so that the receiver knows how old the result is, sockets and decoders included.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from numpy.typing import NDArray

from edgesdk_testkit.pixel_stamp import StampUnreadable, read_stamp

Array = NDArray[Any]
Seen = Sequence[tuple[int, float, Sequence[float]]]

_LAST_MESSAGES_S = 10.0


class Finish:
    """Publish each frame's result; `begin` once everything is loaded, `over` asks for the end of a live run.

    Args:
        options: `broker`, `name`, `live`, `seconds` of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        host, _, port = options.broker.partition(":")
        self._live = options.live
        self._seconds = options.seconds
        self._topic = f"bench/{options.name}"
        self._frames = 0
        self._ends_at = float("inf")
        self._last: Any = None
        self._lock = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_inflight_messages_set(100)
        self._client.connect(host, int(port))
        self._client.loop_start()

    def begin(self) -> None:
        """Say that everything is loaded, and wait for the word to start: programs that run together start together."""
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        sys.stdin.readline()

    @property
    def over(self) -> bool:
        """Whether a live run has lasted long enough."""
        return time.monotonic() > self._ends_at

    def stamp_of(self, image: Array) -> float | None:
        """Return what the camera drew, seconds of the monotonic clock; None where nobody drew or it is damaged."""
        if not self._live:
            return None
        try:
            return read_stamp(image)
        except StampUnreadable:
            return None

    def __call__(self, seen: Seen, stamp: float | None = None, frame: int | None = None) -> None:
        """Publish what was seen on one frame."""
        objects = [{"class": c, "score": round(s, 4), "box": [round(v, 2) for v in box]} for c, s, box in seen]
        with self._lock:
            if self._live and not self._frames:
                # Opening a camera takes as long as it takes; the run is as long for all.
                self._ends_at = time.monotonic() + self._seconds
            number, self._frames = self._frames if frame is None else frame, self._frames + 1
            body = json.dumps({"frame": number, "at": time.time(), "stamp": stamp, "objects": objects})
            self._last = self._client.publish(self._topic, body, qos=1)

    def close(self) -> None:
        """Wait until the broker has the last message."""
        if self._last is not None:
            self._last.wait_for_publish(_LAST_MESSAGES_S)
        self._client.disconnect()
        self._client.loop_stop()


def blank(side: int, dtype: Any = np.float32) -> Array:
    """Return an empty input (1, 3, side, side) to warm a model up with."""
    return np.zeros((1, 3, side, side), dtype)
