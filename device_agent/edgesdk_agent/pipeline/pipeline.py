"""Cameras to results, over one model: its threads, their start and their end.

    camera ─ capture thread ─┐                                     ┌─ lane ─┐
    camera ─ capture thread ─┼─▶ preprocess thread ─ bound inputs ─┼─ lane ─┼─ in order ─▶ on_result
    camera ─ capture thread ─┘                                     └─ lane ─┘

The threads meet in the `handover` only. The pipeline knows no transport: who takes the results is a callable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.delivery.asked_frames import AskedElsewhere, filter_of
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.hook_limits import check_timeout
from edgesdk_agent.delivery.inline import delivery_of
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, user_code_in
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.meter import FrameStats, Meters, Span
from edgesdk_agent.pipeline.account import Account
from edgesdk_agent.pipeline.ask import AskStage
from edgesdk_agent.pipeline.camera_controls import CameraControls
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.capture import CaptureStage, Clock
from edgesdk_agent.pipeline.failures import Failures
from edgesdk_agent.pipeline.forms import PipelineForms
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.handover_parts import HandoverParts
from edgesdk_agent.pipeline.infer import InferStage
from edgesdk_agent.pipeline.model_inputs import InputCell, Slot
from edgesdk_agent.pipeline.own_threads import OwnThreads
from edgesdk_agent.pipeline.picture_stage import PictureStage
from edgesdk_agent.pipeline.pipeline_parts import PipelineParts
from edgesdk_agent.pipeline.pipeline_start import PipelineStart
from edgesdk_agent.pipeline.policy import Policy, policies_for
from edgesdk_agent.pipeline.preprocess import PreprocessStage
from edgesdk_agent.pipeline.result_queue import ResultQueue
from edgesdk_agent.pipeline.stage_thread import ProcessorTime, StageThread
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.tensor import Array


class Pipeline(PipelineStart, CameraControls, PipelineForms):
    """Run cameras through one model until the sources end, an error occurs, or it is stopped.

    The cameras belong to the pipeline from here on, and are closed by it; the model stays the caller's. A camera that
    fails is closed, told and counted, and the others go on; when none is left, its error is the pipeline's.

    Results go to `on_result`; without it they are taken in a loop, `for result in pipeline` or, under asyncio,
    `async for result in pipeline`. Such a loop starts a pipeline that was not started, and then also stops it.

    Args:
        slots: preallocated inputs of the model; `slots_wanted(policies, lanes)` of them for full overlap.
        cameras: one, or several by name. The name stands in every result and chooses the recurrent state.
        on_result: is given every result, one at a time, each camera's in order: a callable, which then runs on a lane
            and holds it up; or a delivery that hands results to a thread or a process. What it raises is counted.
        queue: without `on_result`, how many results wait for the loop. When it is full, an `every_frame` camera waits; of
            a `freshest` one the oldest result is dropped, and counted in `stats().results_dropped`.
        camera_name: of a camera that is given alone.
        policy: `freshest` for a live camera and `every_frame` otherwise, unless given, for all or by name.
        lanes: how many slots are inferred at the same time; see `lanes_wanted`. Each has a thread of its own, or of slots that
            start ahead each two.
        keep_image: keep each picture until its result was handed over, for drawing; in a loop it is a copy of its own.
        on_error: is given the error that ended the pipeline, on the thread that met it; `wait` and `stop` then do not
            raise it.
        on_camera_error: is given the name and the error of each camera that fails, on its own thread.
        on_frame: is asked what the model is to see of each frame: a picture, or None to leave the frame out. It runs on
            the preprocessing thread. Where it does not return, that is told, and its camera is left out until it does. What
            `frame_filter` made with `isolate="process"` runs in a process for each camera instead.
        stage_timeout_s: a call of `on_frame` that takes longer is told as hung, and its camera left out until it returns; more
            than the longest that a frame may take, a first one that loads something included.
        picture_stages: by camera, what is done with each picture on the capture thread, before anything else sees it.
        profile: records where each frame's time goes.
        clock, wall_clock: monotonic seconds, and seconds since 1970.

    Raises:
        InputError: there are no slots, no cameras, no lane, no room in the queue or no time for a stage, a policy is
            unknown, or `on_frame` is no function, or another pipeline's stage.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        cameras: Camera | Mapping[str, Camera],
        *,
        on_result: Callable[[FrameResult], object] | Delivery | None = None,
        queue: int = 4,
        camera_name: str = "camera",
        policy: Policy | Mapping[str, Policy] | None = None,
        lanes: int = 1,
        keep_image: bool = False,
        on_error: Callable[[EdgeError], None] | None = None,
        on_camera_error: Callable[[str, EdgeError], None] | None = None,
        on_frame: Callable[[Frame], Array | None] | FrameFilter | AskedElsewhere | None = None,
        stage_timeout_s: float = USUAL_TIMEOUT_S,
        picture_stages: Mapping[str, Sequence[PictureStage]] | None = None,
        profile: Timeline | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        named = dict(cameras) if isinstance(cameras, Mapping) else {camera_name: cameras}
        if not named:
            raise InputError("A pipeline needs at least one camera.", hint="Give a camera, or several by name.")
        self.policies: Mapping[str, Policy] = MappingProxyType(policies_for(named, policy))
        results = ResultQueue(queue, self.policies)
        delivery: Delivery = results if on_result is None else delivery_of(on_result)
        meters, lock = Meters(named, clock), threading.Lock()
        lines = tuple(
            CameraLine(name, camera, self.policies[name], len(slots), meters[name], lock)
            for name, camera in named.items()
        )
        # Who filters frames is promised a thread of his own.
        parts = HandoverParts(lines, slots, lanes, lock, clock, keep_image, others_may_prepare=on_frame is None)
        handover = Handover(parts)
        check_timeout("`on_frame`", "stage_timeout_s", stage_timeout_s)
        stage = filter_of(on_frame, stage_timeout_s)
        failures = Failures(len(named), on_error, on_camera_error)
        user_code = (*user_code_in(delivery), *user_code_in(stage))
        super().__init__(PipelineParts(lines, meters, handover, results, delivery, failures, user_code))
        self._own_threads = OwnThreads(self._crew, delivery, results, self.policies)
        self._clock = clock
        self._profile = profile
        self._delivering, self._preparing = ProcessorTime(), ProcessorTime()
        seen = stage if isinstance(stage, FrameFilter) else None
        self._preprocess = PreprocessStage(self._handover, clock, self._camera_unusable, seen, profile)
        for number in range(self._handover.lane_threads):
            self._add_lane(number)
        if isinstance(stage, AskedElsewhere):
            self._asking = self._ask_first(stage)
        else:
            self._crew.add("preprocess", "", self._preprocess)
        at_cameras = []
        for line in self._lines:
            stages = (picture_stages or {}).get(line.name, ())
            at_cameras.append(preparing := ProcessorTime())
            capture = CaptureStage(
                line, self._handover, clock, wall_clock, self._prepare_at_once, preparing, profile, stages
            )
            self._crew.add("capture", line.name, capture, line)
        self._account = Account(
            self._meters, self._lines, self._crew, self._delivery, self._delivering, self._preparing, at_cameras
        )

    @property
    def camera_errors(self) -> Mapping[str, EdgeError]:
        """What ended cameras that failed, by name."""
        return self._failures.of_cameras

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every source ended and the last result was handed over, and say whether that is so.

        Raises:
            InputError: it was not started, or the end may never come: nobody takes the results, or who waits without a limit is
                a callback, or the loop that takes them.
            EdgeError: what ended the pipeline.
        """
        if not self._started:
            raise InputError("The pipeline was not started.", hint="Call `start`, or use it in a `with` block.")
        untaken = self._delivery is self._results and not self._results.readers
        if untaken and timeout_s != 0 and not self._crew.over.is_set():
            raise InputError("Nobody takes the results.", hint="Give `on_result`, or loop over the pipeline.")
        if timeout_s is None:
            self._own_threads.refuse_wait()
        over = self._crew.over.wait(timeout_s)
        self._failures.raise_first()
        return over

    def span(self) -> Span:
        """Return a reader of intervals of its own, which begin now."""
        return self._meters.span()

    def swap_slots(self, slots: Sequence[Slot], timeout_s: float = 30.0, *, lanes: int = 1) -> None:
        """Let another model take over between two frames, losing none; then the old model may be closed.

        Args:
            slots: of the other model, whose input may be of another size; fit as many as at the start.
            timeout_s: to wait for the old model's last frame.
            lanes: how many of the slots are inferred at the same time.

        Raises:
            InputError: there are no slots, or no lane; or a callback of the pipeline asks, which would wait for itself.
            SessionFailed: the old model does not finish its last frame within the time.
        """
        self._own_threads.refuse_swap()
        successor = self._handover.inputs_of(slots, lanes)
        for number in self._crew.missing_lanes(successor.threads):
            self._add_lane(number).start()
        with self._results.while_swapping():
            self._handover.swap(successor, timeout_s)

    def keep_images(self, wanted: bool) -> None:
        """Let results carry their picture from now on, or no longer, whatever `keep_image` said at the start."""
        self._handover.keep_images(wanted)

    def stats(self) -> FrameStats:
        """Return what happened to the frames since the start."""
        return self._account.totals()

    def interval_stats(self) -> FrameStats:
        """Return what happened to the frames since the last call, for telemetry; what is not of frames are totals."""
        return self._account.interval()

    def _to_loop(self) -> ResultQueue:
        if self._delivery is not self._results:
            raise InputError("This pipeline's results go to `on_result`.", hint="Leave it out to take them in a loop.")
        if self._results.read_out:
            raise InputError("A loop took all results of this pipeline.", hint="Make another one, with a new camera.")
        return self._results

    def _add_lane(self, number: int) -> StageThread:
        stage = InferStage(
            self._handover, self._clock, self._delivery, self._delivering, self._preprocess, self._preparing,
            partial(self._stage_failed, "infer", None), self._profile,
        )  # fmt: skip
        return self._crew.add("infer", str(number + 1), stage)

    def _ask_first(self, asked: AskedElsewhere) -> tuple[AskStage, ...]:
        self._handover.ask_first()
        stages = []
        askers = asked.askers({line.name: line.places for line in self._lines})
        for line in self._lines:
            stages.append(
                AskStage(line, self._handover, askers[line.name], self._preprocess, self._clock, self._profile)
            )
            self._crew.add("preprocess", line.name, stages[-1])
        return tuple(stages)

    def _prepare_at_once(self, cell: InputCell) -> None:
        try:
            self._preprocess.prepare(cell)
        except BaseException as error:  # noqa: BLE001  (not the camera's fault, on whose thread it came up)
            self._stage_failed("preprocess", None, error)
