"""OpenVINO's own two ways to keep several inferences going: AsyncInferQueue, and the model API's AsyncPipeline."""

from __future__ import annotations

import argparse
from typing import Any

import cv2

from pipeline.programs.detections import Array, detections
from pipeline.programs.finish import Finish
from pipeline.programs.naive import by_blob


def async_infer_queue(options: argparse.Namespace, finish: Finish) -> None:
    """Run AsyncInferQueue with the throughput hint; the callback decodes and publishes."""
    import openvino

    hint = {"PERFORMANCE_HINT": "THROUGHPUT"}
    compiled = openvino.Core().compile_model(f"{options.artifacts}/float_input.xml", "CPU", hint)
    queue = openvino.AsyncInferQueue(compiled)

    def done(request: Any, userdata: tuple[int, Array]) -> None:
        frame, image = userdata
        seen = detections(request.get_tensor("boxes").data, request.get_tensor("scores").data)
        finish(seen, finish.stamp_of(image), frame)

    queue.set_callback(done)
    finish.begin()
    capture, frame = cv2.VideoCapture(options.source), 0
    while not finish.over:
        read, image = capture.read()
        if not read:
            break
        queue.start_async([by_blob(image)], (frame, image))
        frame += 1
    queue.wait_all()


def model_api(options: argparse.Namespace, finish: Finish) -> None:
    """Run the model API's AsyncPipeline, fed and emptied as in the library's demos."""
    from model_api.adapters import OpenvinoAdapter, create_core
    from model_api.models import ImageModel
    from model_api.pipelines import AsyncPipeline

    class Detector(ImageModel):  # type: ignore[misc]
        __model__ = "FastestDet"

        def postprocess(self, outputs: dict[str, Array], _meta: Any) -> Any:
            return detections(outputs["boxes"], outputs["scores"])

    adapter = OpenvinoAdapter(
        create_core(),
        f"{options.artifacts}/float_input.xml",
        device="CPU",
        plugin_config={"PERFORMANCE_HINT": "THROUGHPUT"},
        max_num_requests=0,
    )
    pipeline = AsyncPipeline(Detector(adapter, {"scale_values": [255.0], "resize_type": "standard"}))
    finish.begin()
    _feed(finish, pipeline, cv2.VideoCapture(options.source))


def _feed(finish: Finish, pipeline: Any, capture: Any) -> None:
    asked = told = 0
    images: dict[int, Array] = {}
    ended = False
    while not finish.over and not (ended and told == asked):
        answer = pipeline.get_result(told)
        if answer:
            finish(answer[0], finish.stamp_of(images.pop(told)))
            told += 1
        elif ended:
            pipeline.await_all()
        elif pipeline.is_ready():
            read, image = capture.read()
            if read:
                images[asked] = image
                pipeline.submit_data(image, asked)
                asked += 1
            else:
                ended = True
        else:
            pipeline.await_any()
    pipeline.await_all()
