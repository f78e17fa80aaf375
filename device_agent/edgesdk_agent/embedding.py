"""The pipeline for somebody's own application: a model, a source, a callback. It knows nothing of MQTT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.model_inputs import SLOTS_WANTED, Policy
from edgesdk_agent.pipeline import Pipeline as SlotPipeline
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import Model


class Pipeline(SlotPipeline):
    """Run a model on a source and give each result to a callback.

        with edgesdk.Pipeline(edgesdk.load("m.edgebundle"), "rtsp://…", on_result=print) as pipeline:
            pipeline.wait()

    The model stays the caller's; one model serves one pipeline at a time.

    Args:
        model: from `edgesdk.load`.
        source: a path, an address, a camera's number (see `SOURCE_FORMS`), or an opened camera.
        on_result: is given a `FrameResult` for each frame, in order, on the inference thread.
        camera_name: stands in every result.
        policy: `freshest` (a live camera's default) or `every_frame` (a file's).
        keep_image: give each result its picture, valid during the callback.
        on_error: is given the error that ended the pipeline; without it `wait` and `stop` raise it.
        source_options: fields of `SourceOptions`, such as `fps=10` or `loop=True`.

    Raises:
        InputError: the source is unknown.
        CameraLost: the camera does not answer.
    """

    def __init__(
        self,
        model: Model,
        source: str | Path | int | Camera,
        *,
        on_result: Callable[[FrameResult], None],
        camera_name: str = "camera",
        policy: Policy | None = None,
        keep_image: bool = False,
        on_error: Callable[[EdgeError], None] | None = None,
        **source_options: Any,
    ) -> None:
        camera = open_camera(str(source), **source_options) if isinstance(source, (str, Path, int)) else source
        # Frames a second of the source, or None where it is not known.
        self.source_fps = camera.info.fps
        chosen: Policy = policy or ("freshest" if camera.info.live else "every_frame")
        try:
            slots = model.slots(SLOTS_WANTED.get(chosen, 1))
            super().__init__(
                slots,
                camera,
                on_result=on_result,
                camera_name=camera_name,
                policy=chosen,
                keep_image=keep_image,
                on_error=on_error,
            )
        except BaseException:
            camera.close()
            raise
