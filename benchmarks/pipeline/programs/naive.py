"""What users write first: read, resize, divide, infer, publish, one after the other. Runtimes and OpenCV at their defaults."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from pipeline.programs.detections import SIDE, Array, detections
from pipeline.programs.finish import Finish, blank
from pipeline.programs.slow_device import SlowDevice

Infer = Callable[[Array], tuple[Array, Array]]


def user_style(image: Array) -> Array:
    """Return the input as most write it."""
    resized = cv2.resize(image, (SIDE, SIDE)).astype(np.float32) / 255.0
    return np.ascontiguousarray(resized.transpose(2, 0, 1)[None])


def by_blob(image: Array) -> Array:
    """Return the input as OpenCV's own function makes it."""
    blob: Array = cv2.dnn.blobFromImage(image, 1 / 255.0, (SIDE, SIDE))
    return blob


def openvino_at_defaults(options: argparse.Namespace) -> Infer:
    """Load the model into OpenVINO as its own examples do; each call waits for the answer."""
    import openvino

    compiled = openvino.Core().compile_model(f"{options.artifacts}/float_input.xml", "CPU")
    request = compiled.create_infer_request()
    device = SlowDevice(options.stage_ms)

    def infer(prepared: Array) -> tuple[Array, Array]:
        with device.inference():
            request.infer([prepared], share_inputs=True)
        return request.get_tensor("boxes").data, request.get_tensor("scores").data

    request.infer([blank(SIDE)])
    return infer


def ov_naive(options: argparse.Namespace, finish: Finish) -> None:
    """Run OpenVINO's naive loop."""
    _loop(options, finish, openvino_at_defaults(options), user_style)


def ov_naive_blob(options: argparse.Namespace, finish: Finish) -> None:
    """Run the same with OpenCV's blob."""
    _loop(options, finish, openvino_at_defaults(options), by_blob)


def _loop(options: argparse.Namespace, finish: Finish, infer: Infer, prepare: Callable[[Any], Array]) -> None:
    finish.begin()
    capture = cv2.VideoCapture(options.source)
    while not finish.over:
        read, image = capture.read()
        if not read:
            break
        finish(detections(*infer(prepare(image))), finish.stamp_of(image))
