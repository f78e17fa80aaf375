"""The scripts of a few lines that people write: each tool's own INT8 with its usual settings, and nothing of this project.

Each takes a torch module, its input's name and calibration inputs (N, 1, C, H, W), and returns the artifact with a function from
an input to the outputs in the module's order. They are what `edgesdk convert` is to be no worse than.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class HandMade:
    """What a script wrote.

    Attributes:
        size: bytes of its files.
        run: one input → the outputs, in the module's order.
    """

    size: int
    run: Callable[[Array], list[Array]]


def onnx_runtime(module: torch.nn.Module, samples: Array, folder: Path) -> HandMade:
    """`quantize_static`: QDQ, unsigned activations, a scale for each channel of the weights."""
    from onnxruntime.quantization import QuantType

    return _quantize_static(module, samples, folder, activation_type=QuantType.QUInt8)


def tensorrt(module: torch.nn.Module, samples: Array, folder: Path) -> HandMade:
    """`quantize_static` as TensorRT wants it: symmetric, layers with weights only, biases in float; run by ONNX Runtime."""
    from onnxruntime.quantization import QuantType

    symmetric = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    kinds = ["Conv", "Gemm", "MatMul"]
    return _quantize_static(
        module,
        samples,
        folder,
        activation_type=QuantType.QInt8,
        op_types_to_quantize=kinds,
        extra_options=symmetric,
    )


def openvino(module: torch.nn.Module, samples: Array, folder: Path) -> HandMade:
    """`nncf.quantize` with the mixed preset; computed in float32 where it is float."""
    import nncf
    import openvino as ov

    core, float_file = ov.Core(), _exported(module, samples, folder)
    dataset = nncf.Dataset(list(samples), lambda sample: [sample])
    model = nncf.quantize(
        core.read_model(float_file), dataset, subset_size=len(samples), preset=nncf.QuantizationPreset.MIXED
    )
    ov.save_model(model, folder / "int8.xml")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(folder / "int8.xml", "CPU", settings)
    size = sum((folder / name).stat().st_size for name in ("int8.xml", "int8.bin"))
    return HandMade(size, lambda given: list(compiled([given]).values()))


def litert(module: torch.nn.Module, samples: Array, folder: Path) -> HandMade:
    """`litert_torch.convert`, and the quantizer's recipe `static_wi8_ai8`."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    float_file, int8_file = folder / "float.tflite", folder / "int8.tflite"
    litert_torch.convert(module, (torch.from_numpy(samples[0]),)).export(str(float_file))
    work = quantizer.Quantizer(str(float_file))
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    ((signature, about),) = Interpreter(str(float_file)).get_signature_list().items()
    seen = work.calibrate({signature: [{about["inputs"][0]: sample} for sample in samples]})
    work.quantize(seen).export_model(str(int8_file))
    interpreter = Interpreter(str(int8_file), num_threads=1)
    runner = interpreter.get_signature_runner(signature)
    ((name, taken),) = runner.get_input_details().items()
    given_back = runner.get_output_details()

    def run(given: Array) -> list[Array]:
        answers = runner(**{name: _as_taken(given, taken)})
        places = sorted(answers, key=lambda output: int(output.rpartition("_")[2]))
        return [_as_float(answers[place], given_back[place]) for place in places]

    return HandMade(int8_file.stat().st_size, run)


SCRIPTS: dict[str, Callable[[torch.nn.Module, Array, Path], HandMade]] = {
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
    "LiteRT": litert,
    "TensorRT": tensorrt,
}


def _as_taken(given: Array, tensor: Mapping[str, Any]) -> Array:
    """Return a float array as a LiteRT tensor's own whole numbers, where it has such."""
    step, zero = tensor["quantization"]
    if not step:
        return given
    limits = np.iinfo(tensor["dtype"])
    whole: Array = np.clip(np.rint(given / step) + zero, limits.min, limits.max).astype(tensor["dtype"])
    return whole


def _as_float(answer: Array, tensor: Mapping[str, Any]) -> Array:
    step, zero = tensor["quantization"]
    return (answer.astype(np.float32) - zero) * np.float32(step) if step else answer


def _quantize_static(module: torch.nn.Module, samples: Array, folder: Path, **settings: Any) -> HandMade:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, Array] | None:
            sample = next(self._left, None)
            return None if sample is None else {"image": sample}

    float_file, ready, int8_file = _exported(module, samples, folder), folder / "ready.onnx", folder / "int8.onnx"
    quant_pre_process(str(float_file), str(ready))
    quantize_static(
        str(ready),
        str(int8_file),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        **settings,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(int8_file), options, providers=["CPUExecutionProvider"])
    return HandMade(int8_file.stat().st_size, lambda given: list(session.run(None, {"image": given})))


def _exported(module: torch.nn.Module, samples: Array, folder: Path) -> Path:
    path = folder / "float.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            module,
            (torch.from_numpy(np.array(samples[0])),),
            str(path),
            dynamo=True,
            opset_version=18,
            external_data=False,
            input_names=["image"],
        )
    return path
