"""Libraries that read the camera in a thread of their own: imutils and vidgear, each as its documentation shows."""

from __future__ import annotations

import argparse

from pipeline.programs.detections import detections
from pipeline.programs.finish import Finish
from pipeline.programs.naive import openvino_at_defaults, user_style


def imutils(options: argparse.Namespace, finish: Finish) -> None:
    """Read by imutils: a queue for files, the last frame (read again and again) for cameras."""
    from imutils.video import FileVideoStream, WebcamVideoStream

    infer = openvino_at_defaults(options)
    finish.begin()
    stream = (WebcamVideoStream if options.live else FileVideoStream)(options.source).start()
    while not finish.over and (options.live or stream.more()):
        image = stream.read()
        if image is None:
            if options.live:
                continue
            break
        finish(detections(*infer(user_style(image))), finish.stamp_of(image))
    stream.stop()


def vidgear(options: argparse.Namespace, finish: Finish) -> None:
    """Read by vidgear's CamGear."""
    from vidgear.gears import CamGear

    infer = openvino_at_defaults(options)
    finish.begin()
    stream = CamGear(source=options.source, logging=False).start()
    while not finish.over:
        image = stream.read()
        if image is None:
            break
        finish(detections(*infer(user_style(image))), finish.stamp_of(image))
    stream.stop()
