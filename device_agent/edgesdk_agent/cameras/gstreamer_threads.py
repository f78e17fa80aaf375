"""What a pipeline's own threads cost and complain of: GStreamer decodes in threads that Python does not know."""

from __future__ import annotations

import threading
import time
from typing import Any


class StreamingThreads:
    """Add up the processor time of a pipeline's streaming threads, from their start to their end.

    Each thread tells the bus when it begins and ends, on itself. Threads that a decoder starts for its own use are not
    seen; the software ones are held to one thread.

    Args:
        gst: GStreamer.
        bus: of the pipeline.
        before_s: what earlier lives of the camera cost.

    Attributes:
        undecoded: pictures of which a decoder said that it could not decode them.
    """

    def __init__(self, gst: Any, bus: Any, before_s: float) -> None:
        self._gst = gst
        self._lock = threading.Lock()
        # Thread → its clock, and what it showed when it began here: GStreamer lends threads from one use to the next.
        self._running: dict[int, tuple[int, float]] = {}
        self._ended_s = before_s
        # What the reader's own thread took; written by it.
        self.reader_s = 0.0
        self.undecoded = 0
        self._bus = bus
        bus.set_sync_handler(self._on_message)

    def cpu_s(self) -> float:
        """Return the seconds of processor time so far."""
        with self._lock:
            return self._ended_s + self.reader_s + sum(map(self._used, self._running.values()))

    def stop(self) -> None:
        """Listen no more, once the pipeline has stopped: Python may end before the bus does."""
        self._bus.set_sync_handler(None)

    def _on_message(self, _bus: Any, message: Any, *_: Any) -> Any:
        if message.type == self._gst.MessageType.STREAM_STATUS:
            status, _owner = message.parse_stream_status()
            thread = threading.get_ident()
            with self._lock:
                if status == self._gst.StreamStatusType.ENTER:
                    self._running[thread] = (time.pthread_getcpuclockid(thread), time.thread_time())
                elif status == self._gst.StreamStatusType.LEAVE and thread in self._running:
                    self._ended_s += time.thread_time() - self._running.pop(thread)[1]
        elif message.type == self._gst.MessageType.WARNING and self._is_decoder(message.src):
            self.undecoded += 1
        return self._gst.BusSyncReply.PASS

    def _is_decoder(self, source: Any) -> bool:
        factory = source.get_factory() if isinstance(source, self._gst.Element) else None
        return factory is not None and "Decoder" in (factory.get_metadata("klass") or "")

    @staticmethod
    def _used(thread: tuple[int, float]) -> float:
        clock, began = thread
        try:
            return max(0.0, time.clock_gettime(clock) - began)
        except OSError:  # ended without a word
            return 0.0
