"""What the start and the end of a pipeline act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.watched_calls import UserCode
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.failures import Failures
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.result_queue import ResultQueue


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """The parts of a pipeline that its threads meet in.

    Attributes:
        lines, meters: of the cameras.
        results: what a loop takes; delivery: who gets them, that queue or another.
        user_code: all that may hold the pipeline, also what is watched otherwise.
    """

    lines: tuple[CameraLine, ...]
    meters: Meters
    handover: Handover
    results: ResultQueue
    delivery: Delivery
    failures: Failures
    user_code: Sequence[UserCode]
