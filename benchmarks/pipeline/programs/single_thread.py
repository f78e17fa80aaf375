"""The best code for one thread: pixels straight into the model's memory, no copy, no second thread anywhere.

Two of these at once are the practical limit of two cores: nothing is handed over, and nobody waits. Numbers are computed in
the precision that the bundle was verified in (f32 where it is not INT8); OpenVINO's own default, bf16, is about 2 % faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from pipeline.programs.detections import SIDE, Array, detections
from pipeline.programs.finish import Finish

# What gives the memory of the model's input, (1, S, S, 3) uint8 or (1, 3, S, S) float32 of 0…1, and what runs the model and gives
# its outputs' memory. None of it is to be held while the model runs: LiteRT refuses to run then.
Loaded = tuple[Callable[[], Array], Callable[[], tuple[Array, Array]]]


def seq1(options: argparse.Namespace, finish: Finish) -> None:
    """Run OpenVINO in one thread."""
    _loop(options, finish, _openvino(options))


def seq1_onnxruntime(options: argparse.Namespace, finish: Finish) -> None:
    """Run ONNX Runtime in one thread."""
    _loop(options, finish, _onnxruntime(options))


def seq1_litert(options: argparse.Namespace, finish: Finish) -> None:
    """Run LiteRT in one thread."""
    _loop(options, finish, _litert(options))


def _openvino(options: argparse.Namespace) -> Loaded:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = (
        openvino.Core().compile_model(f"{options.artifacts}/x86-cpu/model.xml", "CPU", settings).create_infer_request()
    )
    pixels = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    request.set_input_tensor(openvino.Tensor(pixels, shared_memory=True))
    request.infer()
    outputs = (request.get_tensor("boxes").data, request.get_tensor("scores").data)

    def run() -> tuple[Array, Array]:
        # On this thread; with `start_async` a second one computes and a third one tells the end.
        request.infer(share_outputs=True)
        return outputs

    return lambda: pixels, run


def _onnxruntime(options: argparse.Namespace) -> Loaded:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    path = f"{options.artifacts}/generic-onnx/model.onnx"
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    binding, value = session.io_binding(), onnxruntime.OrtValue.ortvalue_from_numpy
    (taken,) = session.get_inputs()
    memory = np.zeros(taken.shape, np.float32 if "float" in taken.type else np.uint8)
    binding.bind_ortvalue_input(taken.name, value(memory))
    given = {one.name: np.zeros(one.shape, np.float32) for one in session.get_outputs()}
    for name, array in given.items():
        binding.bind_ortvalue_output(name, value(array))
    outputs = (given["boxes"], given["scores"])

    def run() -> tuple[Array, Array]:
        session.run_with_iobinding(binding)
        return outputs

    return lambda: memory, run


def _litert(options: argparse.Namespace) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(f"{options.artifacts}/rpi5/model.tflite", num_threads=1)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    # The boxes have four numbers a candidate; the names in the file are the converter's.
    boxes, scores = sorted(interpreter.get_output_details(), key=lambda one: int(one["shape"][-1]))

    def run() -> tuple[Array, Array]:
        interpreter.invoke()
        return _in_float(interpreter, boxes), _in_float(interpreter, scores)

    return interpreter.tensor(taken["index"]), run


def _in_float(interpreter: Any, detail: Any) -> Array:
    values: Array = interpreter.tensor(detail["index"])()
    if values.dtype == np.float32:
        return values
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


def _preparing() -> Callable[[Array, Array], None]:
    """Return what resizes a picture straight into the model's memory; a float model's planes are scaled into it."""
    pixels, scale = np.zeros((SIDE, SIDE, 3), np.uint8), np.float32(1 / 255)

    def prepare(image: Array, memory: Array) -> None:
        if memory.dtype == np.uint8:
            cv2.resize(image, (SIDE, SIDE), dst=memory[0])
            return
        cv2.resize(image, (SIDE, SIDE), dst=pixels)
        for channel in range(3):
            np.multiply(pixels[:, :, channel], scale, out=memory[0, channel])

    return prepare


def _loop(options: argparse.Namespace, finish: Finish, loaded: Loaded) -> None:
    cv2.setNumThreads(1)
    memory, run = loaded
    prepare = _preparing()
    run()
    finish.begin()
    capture = cv2.VideoCapture(options.source, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    image = None
    while not finish.over:
        read, image = capture.read(image)
        if not read:
            break
        prepare(image, memory())
        stamp = finish.stamp_of(image)
        finish(detections(*run()), stamp)
