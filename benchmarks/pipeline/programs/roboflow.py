"""Roboflow's InferencePipeline with a model of one's own, which is its documented way to use another runtime."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.programs.detections import detections
from pipeline.programs.finish import Finish
from pipeline.programs.naive import openvino_at_defaults, user_style


def roboflow(options: argparse.Namespace, finish: Finish) -> None:
    """Run `init_with_custom_logic`."""
    _let_torchvision_import()
    from inference import InferencePipeline

    infer = openvino_at_defaults(options)

    def on_frames(frames: list[Any]) -> list[Any]:
        return [detections(*infer(user_style(frame.image))) for frame in frames]

    def on_prediction(prediction: Any, frame: Any) -> None:
        if isinstance(frame, list):
            frame, prediction = frame[0], prediction[0]
        finish(prediction, finish.stamp_of(frame.image))
        if finish.over:
            pipeline.terminate()

    finish.begin()
    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=options.source, on_video_frame=on_frames, on_prediction=on_prediction
    )
    pipeline.start()
    pipeline.join()


def _let_torchvision_import() -> None:
    """Pass over operators that this torchvision was built without: only its import asks for them, and nothing here runs them."""
    import torch

    register = torch.library.register_fake

    def patched(operator: Any, *arguments: Any, **keywords: Any) -> Any:
        decorate = register(operator, *arguments, **keywords)
        if not str(operator).startswith("torchvision"):
            return decorate

        def forgiving(function: Any) -> Any:
            try:
                return decorate(function)
            except RuntimeError:
                return function

        return forgiving

    torch.library.register_fake = patched
