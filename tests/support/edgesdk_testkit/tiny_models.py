"""Tiny models with the same weights for every runtime, and numpy's answer to compare with.

- `CNN`: a float NCHW picture → logits; `WIDE`: the same on a large picture, for what must not be copied.
- `PIXELS`: the same network with its normalisation folded in: a uint8 NHWC picture → logits; `WIDE_PIXELS` likewise.
- `STREAM`: two inputs (picture, state) and two outputs (logits, next state), given in another order than by name.
- `CLIP`: four pictures in a row → logits (ONNX and OpenVINO only).
- `OPEN`: an output whose size depends on the content (ONNX and OpenVINO only).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tflite_writer import TfliteWriter, signature_names

SIDE, WIDE_SIDE, CLASSES, FILTERS = 16, 128, 5, 8
MEAN, STD = 127.5, 64.0
STATE = 7

_random = np.random.default_rng(20261121)
KERNEL = _random.normal(0, 0.3, (FILTERS, 3, 3, 3)).astype(np.float32)
BIAS = _random.normal(0, 0.3, FILTERS).astype(np.float32)
HEAD = _random.normal(0, 0.5, (CLASSES, FILTERS)).astype(np.float32)
HEAD_BIAS = _random.normal(0, 0.1, CLASSES).astype(np.float32)
LOOK = _random.normal(0, 0.2, (STATE, 6 * 8)).astype(np.float32)
CARRY = _random.normal(0, 0.5, (STATE, STATE)).astype(np.float32)
TELL = _random.normal(0, 0.5, (4, STATE)).astype(np.float32)
CLIP_FRAMES = 4
WATCH = _random.normal(0, 0.1, (CLASSES, CLIP_FRAMES * 3 * SIDE * SIDE)).astype(np.float32)
ZERO = np.zeros(64, np.float32)


@dataclass(frozen=True)
class TinyFile:
    """A model in one runtime's form: role → content, and its tensors by the runtime's own names."""

    files: Mapping[str, bytes]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class TinyModel:
    """A model: what it takes and gives by logical name, numpy's answer, and its ONNX and TFLite forms."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    reference: Callable[[Mapping[str, Array]], dict[str, Array]]
    to_onnx: Callable[[], bytes]
    to_tflite: Callable[[bool], bytes] | None
    folded: bool = False

    def feeds(self, seed: int = 0) -> dict[str, Array]:
        """Return random inputs: pixels for uint8, else values around 0."""
        random = np.random.default_rng(seed)
        return {
            spec.name: random.integers(0, 256, spec.shape, np.uint8)
            if spec.dtype == "uint8"
            else random.normal(0, 1, spec.shape).astype(spec.dtype)
            for spec in self.inputs
        }

    def file(self, runtime: Runtime) -> TinyFile:
        """Return the model in a runtime's form."""
        return _file(self.name, runtime)

    def _convert(self, runtime: Runtime) -> TinyFile:
        if runtime is Runtime.LITERT:
            assert self.to_tflite is not None, f"{self.name} has no TFLite form"
            inputs, outputs = signature_names(self.inputs, "args"), signature_names(self.outputs, "output")
            return TinyFile({"model": self.to_tflite(True)}, inputs, outputs)
        model = self.to_onnx()
        if runtime is Runtime.OPENVINO:
            return TinyFile(_openvino(model), self.inputs, self.outputs)
        return TinyFile({"model": model}, self.inputs, self.outputs)


@cache
def _file(name: str, runtime: Runtime) -> TinyFile:
    return MODELS[name]._convert(runtime)


def _openvino(model: bytes) -> dict[str, bytes]:
    import openvino

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(openvino.Core().read_model(model=model), path, compress_to_fp16=False)
        return {"model": path.read_bytes(), "weights": path.with_suffix(".bin").read_bytes()}


# --- CNN and PIXELS -------------------------------------------------------------------------------------------------


def _cnn_reference(image: Array) -> Array:
    windows = sliding_window_view(image[0], (3, 3), axis=(1, 2))[:, ::2, ::2]
    maps = np.maximum(np.einsum("chwij,fcij->fhw", windows, KERNEL) + BIAS[:, None, None], 0)
    return (HEAD @ maps.mean(axis=(1, 2)) + HEAD_BIAS)[None].astype(np.float32)


def _pixels_reference(pixels: Array) -> Array:
    return _cnn_reference(((pixels.astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2))


def _cnn_nodes(image: str) -> list[Node]:
    return [
        Node("Conv", [image, "kernel", "bias"], ["maps"], {"strides": [2, 2]}),
        Node("Relu", ["maps"], ["active"]),
        Node("GlobalAveragePool", ["active"], ["pooled"]),
        Node("Flatten", ["pooled"], ["features"], {"axis": 1}),
        Node("Gemm", ["features", "head", "head_bias"], ["logits"], {"transB": 1}),
    ]


def _cnn_weights() -> dict[str, Array]:
    return {"kernel": KERNEL, "bias": BIAS, "head": HEAD, "head_bias": HEAD_BIAS}


def _pixels_onnx(inputs: tuple[TensorSpec, ...]) -> bytes:
    scale = {"mean": np.array(MEAN, np.float32), "scale": np.array(1 / STD, np.float32)}
    nodes = [
        Node("Cast", ["image"], ["float"], {"to": 1}),
        Node("Transpose", ["float"], ["planes"], {"perm": [0, 3, 1, 2]}),
        Node("Sub", ["planes", "mean"], ["centred"]),
        Node("Mul", ["centred", "scale"], ["normal"]),
        *_cnn_nodes("normal"),
    ]
    return onnx_model(nodes, inputs, (_LOGITS,), _cnn_weights() | scale)


def _cnn_tail(graph: TfliteWriter, image: int, side: int) -> int:
    """Add the network after a float NHWC picture; return the logits."""
    side = (side - 3) // 2 + 1
    maps = graph.op(
        "CONV_2D",
        [image, graph.constant("kernel", KERNEL.transpose(0, 2, 3, 1)), graph.constant("bias", BIAS)],
        graph.tensor("maps", (1, side, side, FILTERS)),
        "Conv2DOptions",
        padding=1,
        strideH=2,
        strideW=2,
        fusedActivationFunction=1,
    )
    pooled = graph.op(
        "MEAN",
        [maps, graph.constant("axes", np.array([1, 2], np.int32))],
        graph.tensor("pooled", (1, FILTERS)),
        "ReducerOptions",
        keepDims=False,
    )
    return _linear(graph, pooled, HEAD, HEAD_BIAS, "logits")


def _linear(graph: TfliteWriter, value: int, weights: Array, bias: Array, name: str) -> int:
    inputs = [value, graph.constant(f"{name}_weights", weights), graph.constant(f"{name}_bias", bias)]
    return graph.op("FULLY_CONNECTED", inputs, graph.tensor(name, (1, len(weights))), "FullyConnectedOptions")


def _cnn_tflite(side: int, signature: bool) -> bytes:
    graph = TfliteWriter()
    image = graph.tensor("image", (1, 3, side, side))
    order = graph.constant("order", np.array([0, 2, 3, 1], np.int32))
    rows = graph.op("TRANSPOSE", [image, order], graph.tensor("rows", (1, side, side, 3)), "TransposeOptions")
    return graph.write([image], [_cnn_tail(graph, rows, side)], signature=signature)


def _pixels_tflite(side: int, signature: bool) -> bytes:
    graph = TfliteWriter()
    shape = (1, side, side, 3)
    image = graph.tensor("image", shape, "uint8")
    value = graph.op("CAST", [image], graph.tensor("float", shape), "CastOptions", inDataType=3, outDataType=0)
    mean, scale = (graph.constant(n, np.array([v], np.float32)) for n, v in (("mean", MEAN), ("scale", 1 / STD)))
    value = graph.op("SUB", [value, mean], graph.tensor("centred", shape), "SubOptions")
    value = graph.op("MUL", [value, scale], graph.tensor("normal", shape), "MulOptions")
    return graph.write([image], [_cnn_tail(graph, value, side)], signature=signature)


# --- STREAM ---------------------------------------------------------------------------------------------------------


def _stream_reference(image: Array, state: Array) -> dict[str, Array]:
    after = np.tanh(LOOK @ image.ravel() + CARRY @ state[0])
    return {"logits": (TELL @ after)[None].astype(np.float32), "after": after[None].astype(np.float32)}


def _stream_onnx() -> bytes:
    nodes = [
        Node("Flatten", ["image"], ["flat"], {"axis": 1}),
        Node("Gemm", ["flat", "look"], ["looked"], {"transB": 1}),
        Node("Gemm", ["before", "carry"], ["carried"], {"transB": 1}),
        Node("Add", ["looked", "carried"], ["sum"]),
        Node("Tanh", ["sum"], ["after"]),
        Node("Gemm", ["after", "tell"], ["logits"], {"transB": 1}),
    ]
    return onnx_model(nodes, STREAM.inputs, STREAM.outputs, {"look": LOOK, "carry": CARRY, "tell": TELL})


def _stream_tflite(signature: bool) -> bytes:
    graph = TfliteWriter()
    image, before = graph.tensor("image", (1, 1, 6, 8)), graph.tensor("before", (1, STATE))
    shape = graph.constant("flat_shape", np.array([1, 48], np.int32))
    flat = graph.op("RESHAPE", [image, shape], graph.tensor("flat", (1, 48)), "ReshapeOptions", newShape=[1, 48])
    looked = _linear(graph, flat, LOOK, ZERO[:STATE], "looked")
    carried = _linear(graph, before, CARRY, ZERO[:STATE], "carried")
    total = graph.op("ADD", [looked, carried], graph.tensor("sum", (1, STATE)), "AddOptions")
    after = graph.op("TANH", [total], graph.tensor("after", (1, STATE)))
    logits = _linear(graph, after, TELL, ZERO[:4], "logits")
    return graph.write([image, before], [logits, after], signature=signature)


# --- CLIP -----------------------------------------------------------------------------------------------------------


def _clip_onnx() -> bytes:
    nodes = [
        Node("Flatten", ["image"], ["flat"], {"axis": 1}),
        Node("Gemm", ["flat", "watch"], ["logits"], {"transB": 1}),
    ]
    return onnx_model(nodes, CLIP.inputs, CLIP.outputs, {"watch": WATCH})


# --- OPEN -----------------------------------------------------------------------------------------------------------


def _open_onnx() -> bytes:
    return onnx_model([Node("NonZero", ["image"], ["places"])], OPEN.inputs, OPEN.outputs, {})


def _image(shape: tuple[int, ...], dtype: str = "float32", layout: str = "NCHW") -> TensorSpec:
    return TensorSpec(name="image", shape=shape, dtype=dtype, layout=layout)  # type: ignore[arg-type]


_LOGITS = TensorSpec(name="logits", shape=(1, CLASSES))


def _cnn(name: str, side: int) -> TinyModel:
    inputs = (_image((1, 3, side, side)),)
    return TinyModel(
        name,
        inputs,
        (_LOGITS,),
        lambda feeds: {"logits": _cnn_reference(feeds["image"])},
        lambda: onnx_model(_cnn_nodes("image"), inputs, (_LOGITS,), _cnn_weights()),
        lambda signature: _cnn_tflite(side, signature),
    )


def _pixels(name: str, side: int) -> TinyModel:
    inputs = (_image((1, side, side, 3), "uint8", "NHWC"),)
    return TinyModel(
        name,
        inputs,
        (_LOGITS,),
        lambda feeds: {"logits": _pixels_reference(feeds["image"])},
        lambda: _pixels_onnx(inputs),
        lambda signature: _pixels_tflite(side, signature),
        folded=True,
    )


CNN = _cnn("cnn", SIDE)
WIDE = _cnn("wide", WIDE_SIDE)
PIXELS = _pixels("pixels", SIDE)
WIDE_PIXELS = _pixels("wide_pixels", WIDE_SIDE)
STREAM = TinyModel(
    "stream",
    (_image((1, 1, 6, 8)), TensorSpec(name="before", shape=(1, STATE))),
    (TensorSpec(name="logits", shape=(1, 4)), TensorSpec(name="after", shape=(1, STATE))),
    lambda feeds: _stream_reference(feeds["image"], feeds["before"]),
    _stream_onnx,
    _stream_tflite,
)
CLIP = TinyModel(
    "clip",
    (_image((1, CLIP_FRAMES, 3, SIDE, SIDE)),),
    (_LOGITS,),
    lambda feeds: {"logits": feeds["image"].reshape(1, -1) @ WATCH.T},
    _clip_onnx,
    None,
)
OPEN = TinyModel(
    "open",
    (TensorSpec(name="image", shape=(1, 8)),),
    (TensorSpec(name="places", shape=(2, -1), dtype="int64"),),
    lambda feeds: {"places": np.array(np.nonzero(feeds["image"]), np.int64)},
    _open_onnx,
    None,
)
MODELS = {model.name: model for model in (CNN, WIDE, PIXELS, WIDE_PIXELS, STREAM, CLIP, OPEN)}
