"""Lanes of three runtimes that infer a batch, one lane a stream: as quick as each runtime's own interface lets them be.

Of the pipeline's they differ in this: ONNX Runtime makes its outputs anew, LiteRT's input and outputs are copied, and ONNX
Runtime's threads wait for work by turning, in all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch_load.artifact import Artifact
from batch_load.batch_of import litert_of_batch, onnx_of_batch, openvino_of_batch
from edgesdk_targets.target import Runtime

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Lane:
    """One inference at a time.

    Attributes:
        write: puts (N, …) pictures into the input.
        run: infers.
        answers: the outputs of the last run, copied.
    """

    write: Callable[[Array], None]
    run: Callable[[], object]
    answers: Callable[[], list[Array]]


def opened(artifact: Artifact, batch: int, streams: int, threads: int) -> list[Lane]:
    """Open so many lanes, each of so many threads, for a batch.

    Raises:
        Exception: whatever the runtime says of a model whose batch cannot be changed.
    """
    lanes: list[Lane] = OPENERS[artifact.variant.runtime](artifact, (batch, *artifact.shape[1:]), streams, threads)
    return lanes


def _openvino(artifact: Artifact, shape: tuple[int, ...], streams: int, threads: int) -> list[Lane]:
    import openvino

    core = openvino.Core()
    model: Any = core.read_model(artifact.model)
    openvino_of_batch(model, shape[0])
    settings = {
        "INFERENCE_NUM_THREADS": threads * streams,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(model, "CPU", settings)

    def lane() -> Lane:
        request, memory = compiled.create_infer_request(), np.zeros(shape, artifact.dtype)
        request.set_input_tensor(openvino.Tensor(memory, shared_memory=True))

        def run() -> None:
            request.start_async()
            request.wait()

        return Lane(
            lambda pictures: np.copyto(memory, pictures),
            run,
            lambda: [one.data.copy() for one in request.output_tensors],
        )

    return [lane() for _ in range(streams)]


def _onnxruntime(artifact: Artifact, shape: tuple[int, ...], streams: int, threads: int) -> list[Lane]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    model = onnx_of_batch(artifact.model, shape[0])
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    value = onnxruntime.OrtValue.ortvalue_from_numpy

    def lane() -> Lane:
        binding, memory = session.io_binding(), np.zeros(shape, artifact.dtype)
        binding.bind_ortvalue_input(taken.name, value(memory))
        for output in session.get_outputs():
            binding.bind_output(output.name)
        return Lane(
            lambda pictures: np.copyto(memory, pictures),
            lambda: session.run_with_iobinding(binding),
            lambda: [one.numpy().copy() for one in binding.get_outputs()],
        )

    return [lane() for _ in range(streams)]


def _litert(artifact: Artifact, shape: tuple[int, ...], streams: int, threads: int) -> list[Lane]:
    from ai_edge_litert.interpreter import Interpreter

    model = litert_of_batch(artifact.model, shape[0])

    def lane() -> Lane:
        interpreter = Interpreter(model_content=model, num_threads=threads)
        (taken,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(taken["index"], list(shape))
        interpreter.allocate_tensors()
        outputs = interpreter.get_output_details()
        return Lane(
            lambda pictures: interpreter.set_tensor(taken["index"], pictures),
            interpreter.invoke,
            lambda: [interpreter.get_tensor(one["index"]) for one in outputs],
        )

    return [lane() for _ in range(streams)]


OPENERS: Mapping[Runtime, Callable[[Artifact, tuple[int, ...], int, int], list[Lane]]] = {
    Runtime.OPENVINO: _openvino,
    Runtime.ONNXRUNTIME: _onnxruntime,
    Runtime.LITERT: _litert,
}
