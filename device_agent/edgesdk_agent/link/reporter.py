"""Turn what the pipeline found and how the device does into reports; knows the queue, and nothing of MQTT's client.

Results go out one message a frame, all of them unless a rate is set. Telemetry goes out at a fixed interval, from a
thread of its own, so that a pipeline that stands still is seen to stand still.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import BundleName, Encoded, Event, Sample, Telemetry, encode, encode_result, rfc3339
from edgesdk_targets.topics import Node

if TYPE_CHECKING:
    from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)

_FIRST_SAMPLE_S = 1.0


class Reporter:
    """Puts results, events and telemetry into the queue. Call it with each `FrameResult`: it is a pipeline's sink.

    Args:
        queue: takes the reports, and never blocks.
        node: who reports.
        snapshot: returns how the device does; called once an interval, from the reporter's thread.
        interval_s: seconds between two samples.
        samples_per_message: how many samples travel together.
        max_results_per_s: of each camera; None reports every result.
        bundle: what produced the results; `set_bundle` replaces it.
        clock: monotonic seconds; wall: seconds since 1970.
        clock_trusted: whether that wall clock can be believed now; each report says so.
    """

    def __init__(
        self,
        queue: ReportQueue | Outbox,
        node: Node,
        *,
        snapshot: Callable[[], Sample],
        interval_s: float = 10.0,
        samples_per_message: int = 1,
        max_results_per_s: float | None = None,
        bundle: BundleName | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        clock_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._queue = queue
        self._node = str(node)
        self._snapshot = snapshot
        self._interval_s = interval_s
        self._samples_per_message = samples_per_message
        self._spacing_s = 0.0 if max_results_per_s is None else 1.0 / max_results_per_s
        self._bundle = (bundle or BundleName()).model_dump()
        # By digest: while another model takes over, results of both are under way.
        self._bundles = {self._bundle["digest"]: self._bundle}
        self._clock = clock
        self._wall = wall
        self._clock_trusted = clock_trusted
        # Per camera, when the next result may go out.
        self._due: dict[str, float] = {}
        self._thinned = 0
        self._unreportable = 0
        self._told: set[str] = set()
        self._samples: list[Sample] = []
        self._stopping = threading.Event()
        # Set where the wait for the next sample is to end early.
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-telemetry", daemon=True)

    @property
    def thinned(self) -> int:
        """Results left out because of `max_results_per_s`."""
        return self._thinned

    @property
    def unreportable(self) -> int:
        """Results and samples that no message can hold; the first of each is told as an event."""
        return self._unreportable

    def __call__(self, frame: FrameResult) -> None:
        """Report one result."""
        if self._spacing_s and not self._is_due(frame.camera):
            self._thinned += 1
            return
        try:
            self._queue.put(ReportKind.RESULT, lambda epoch, seq: self._result(frame, epoch, seq))
        except (InputError, ValueError) as error:
            # A result that cannot be told must not stop the pipeline, nor fill the log once a frame.
            self._left_out("result_unreportable", error, camera=frame.camera)

    def event(
        self,
        name: str,
        severity: Literal["info", "warning", "error"] = "info",
        message: str = "",
        *,
        camera: str = "",
        data: dict[str, JsonValue] | None = None,
    ) -> None:
        """Report that something happened."""
        event = Event(
            node=self._node,
            at=utc(self._wall()),
            epoch=self._queue.epoch,
            seq=0,
            clock_trusted=self._clock_trusted(),
            name=name,
            severity=severity,
            message=message[:4096],
            camera=camera,
            data=data or {},
        )
        self._queue.put(ReportKind.EVENT, lambda _epoch, seq: encode(event.model_copy(update={"seq": seq})))

    def set_bundle(self, bundle: BundleName) -> None:
        """Name another bundle in the results that it gives, and in those that do not say whose they are."""
        before, self._bundle = self._bundle, bundle.model_dump()
        self._bundles = {one["digest"]: one for one in (before, self._bundle)}

    def set_rates(self, *, interval_s: float, samples_per_message: int, max_results_per_s: float | None) -> None:
        """Change how often what is told, from the next sample and result on."""
        self._interval_s = interval_s
        self._samples_per_message = samples_per_message
        self._spacing_s = 0.0 if max_results_per_s is None else 1.0 / max_results_per_s
        self._wake.set()

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop sampling, and report a last sample, so that the final counts are told. May be called twice."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        # The first sample comes soon, so that whoever watches a device that just started sees how it does.
        wait_s = min(_FIRST_SAMPLE_S, self._interval_s)
        while not self._stopping.is_set():
            if self._wake.wait(wait_s):
                self._wake.clear()
            else:
                self._sample(final=False)
            wait_s = self._interval_s
        self._sample(final=True)

    def _sample(self, *, final: bool) -> None:
        try:
            self._samples.append(self._snapshot())
        except Exception:  # the thread's top: one sample less is better than no telemetry ever after
            log.exception("A telemetry sample failed")
        if self._samples and (final or len(self._samples) >= self._samples_per_message):
            samples, self._samples = tuple(self._samples), []
            try:
                self._tell(samples)
            except Exception:  # the same
                log.exception("Telemetry could not be told")

    def _tell(self, samples: tuple[Sample, ...]) -> None:
        """Put samples into one message, or into as many as they need; what alone is too large is left out."""
        try:
            self._queue.put(ReportKind.TELEMETRY, lambda epoch, seq: self._telemetry(samples, epoch, seq))
        except (InputError, ValueError) as error:
            if len(samples) == 1:
                self._left_out("telemetry_unreportable", error)
                return
            middle = len(samples) // 2
            self._tell(samples[:middle])
            self._tell(samples[middle:])

    def _left_out(self, name: str, error: Exception, *, camera: str = "") -> None:
        self._unreportable += 1
        if name not in self._told:
            self._told.add(name)
            log.warning("A report is left out (%s%s): %s", name, f", camera {camera}" if camera else "", error)
            self.event(name, "error", str(error), camera=camera)

    def _is_due(self, camera: str) -> bool:
        now = self._clock()
        due = self._due.get(camera, now)
        if now < due:
            return False
        # From when it was due, not from now: else every wait for the next frame would lower the rate.
        self._due[camera] = max(due + self._spacing_s, now)
        return True

    def _result(self, frame: FrameResult, epoch: str, seq: int) -> Encoded:
        # Not validated: each value was made here, and of what a model answers only the writing can cost time. A number
        # that JSON does not have, as a broken model may answer, is written as null.
        return encode_result(
            {
                "node": self._node,
                "at": rfc3339(utc(self._wall())),
                "epoch": epoch,
                "seq": seq,
                "clock_trusted": self._clock_trusted(),
                "camera": frame.camera,
                "frame": frame.seq,
                "captured_at": rfc3339(utc(frame.wall_at)),
                "age_ms": _ms(frame.age_s),
                "latency_ms": {"preprocess": _ms(frame.preprocess_s), "infer": _ms(frame.infer_s)},
                "bundle": self._bundles.get(frame.digest, self._bundle),
                "result": frame.result.to_json(),
            }
        )

    def _telemetry(self, samples: tuple[Sample, ...], epoch: str, seq: int) -> Encoded:
        trusted = self._clock_trusted()
        at = utc(self._wall())
        return encode(Telemetry(node=self._node, at=at, epoch=epoch, seq=seq, clock_trusted=trusted, samples=samples))


def _ms(seconds: float) -> float:
    return max(0.0, round(seconds * 1e3, 3))
