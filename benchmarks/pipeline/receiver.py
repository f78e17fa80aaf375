"""The one subscriber: takes every result as it comes, and watches what the measured processes cost meanwhile.

A process of its own (`python receiver.py HOST:PORT`). A line of JSON with process ids begins a turn; `first` waits for its
first result; an empty line ends it and prints what came: for each topic the moment of arrival, the frame's number and stamp,
and how many objects it names; and the processes' time and memory, every 50 ms.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.process_cost import cpu_s, descendants, peak_rss_bytes, rss_bytes

_TOPICS = ("bench/#", "edgesdk/1/+/up/result")
_EVERY_S = 0.05
_FIRST_WITHIN_S = 60.0


class Receiver:
    """Collects between `begin` and `end`; a message is only noted when it comes, and read afterwards."""

    def __init__(self, broker: str) -> None:
        host, _, port = broker.partition(":")
        self._came: list[tuple[float, str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = lambda _c, _u, message: self._came.append(
            (time.monotonic(), message.topic, message.payload)
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(host, int(port))
        self._client.loop_start()
        # At most once: the senders' messages are acknowledged by the broker, whatever we take.
        self._client.subscribe([(topic, 0) for topic in _TOPICS])
        self._subscribed.wait(10)
        self._watching = threading.Event()
        self._costs: dict[int, list[tuple[float, float]]] = {}
        self._peaks: dict[int, int] = {}

    def begin(self, pids: list[int]) -> None:
        self._came.clear()
        self._costs = {pid: [] for pid in pids}
        self._peaks = dict.fromkeys(pids, 0)
        self._watching = threading.Event()
        threading.Thread(target=self._watch, args=(pids, self._watching), daemon=True).start()

    def await_first(self) -> bool:
        """Wait for the first result, and say whether one came."""
        deadline = time.monotonic() + _FIRST_WITHIN_S
        while not self._came and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(self._came)

    def end(self) -> dict[str, Any]:
        self._watching.set()
        topics: dict[str, dict[str, list[Any]]] = {}
        for at, topic, payload in self._came:
            body = json.loads(payload)
            found = body.get("result", body).get("objects", ())
            name = f"{topic}#{body['camera']}" if "camera" in body else topic
            columns = topics.setdefault(name, {"at": [], "frame": [], "stamp": [], "objects": [], "age_ms": []})
            columns["at"].append(at)
            columns["frame"].append(body["frame"])
            columns["stamp"].append(body.get("stamp"))
            columns["objects"].append(len(found))
            columns["age_ms"].append(body.get("age_ms"))
        return {"topics": topics, "cpu_s": self._costs, "peak_rss_bytes": self._peaks}

    def _watch(self, pids: list[int], over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            now = time.monotonic()
            for pid in pids:
                family = [pid, *descendants(pid)]
                spent = cpu_s(family)
                if spent is not None:
                    self._costs[pid].append((now, spent))
                    # What the children held at other times than their parent does not add up.
                    self._peaks[pid] = max(self._peaks[pid], rss_bytes(family), peak_rss_bytes([pid]))


def main() -> None:
    receiver = Receiver(sys.argv[1])
    print("READY", flush=True)
    for line in sys.stdin:
        if line.strip() == "first":
            print(json.dumps(receiver.await_first()), flush=True)
        elif line.strip():
            receiver.begin(json.loads(line))
            print("BEGUN", flush=True)
        else:
            print(json.dumps(receiver.end()), flush=True)


if __name__ == "__main__":
    main()
