"""TensorRT: runs an engine that is built on the device from the variant's ONNX.

Not measured by the project for want of a GPU: building was tried with TensorRT-RTX, running against a simulation of
CUDA. The bindings are those of TensorRT 10 and 11.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.agreement import Found, check_agreement, closed, refuse_dynamic
from edgesdk_targets.runtimes.cuda_memory import Cuda, CudaTensor
from edgesdk_targets.runtimes.tensorrt_build import Recipe, import_library
from edgesdk_targets.runtimes.tensorrt_engine import EngineCache, default_cache_dir, engine_key
from edgesdk_targets.session import Load, Session
from edgesdk_targets.tensor import Array, TensorSpec, check_feeds

NAME = "TensorRT"
log = logging.getLogger(__name__)


def open_session(load: Load) -> Session:
    """Load the variant's engine, building it first where this device has not yet done so.

    Raises:
        MissingExtra: tensorrt is not installed.
        SessionFailed: no GPU, or TensorRT refuses the model.
    """
    refuse_dynamic(NAME, load.outputs)
    recipe = Recipe.from_bytes(load.files.get("recipe"))
    trt = import_library(recipe.library)
    cuda = Cuda()
    return TensorRtSession(trt, _engine(trt, cuda, load), cuda, load)


def _engine(trt: Any, cuda: Cuda, load: Load) -> Any:
    cache = EngineCache(load.options.cache_dir or default_cache_dir())
    gpu = (cuda.gpu.name, cuda.gpu.compute_capability, cuda.gpu.driver)
    model, recipe = load.files["model"], load.files.get("recipe")
    key = engine_key(model, recipe, trt.__version__, gpu)
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    kept = cache.get(key)
    engine = runtime.deserialize_cuda_engine(kept) if kept is not None else None
    if engine is None:
        cache.forget(key)
        log.info("building the TensorRT engine for %s; this takes minutes, once", cuda.gpu.name)
        engine = runtime.deserialize_cuda_engine(cache.build(key, model, recipe))
    if engine is None:
        cache.forget(key)
        raise SessionFailed(f"{NAME} does not load the engine that it built.", hint="Check the CUDA driver's version.")
    return engine


class TensorRtSession:
    """An engine with one execution context and one stream."""

    def __init__(self, trt: Any, engine: Any, cuda: Cuda, load: Load) -> None:
        found = _found(trt, engine)
        check_agreement(NAME, "input", load.variant.inputs, found[trt.TensorIOMode.INPUT])
        check_agreement(NAME, "output", load.variant.outputs, found[trt.TensorIOMode.OUTPUT])
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.cuda = cuda
        self.stream = cuda.new_stream()
        self._own_names = [spec.name for spec in (*load.variant.inputs, *load.variant.outputs)]
        self._engine: Any = engine
        self._context: Any = engine.create_execution_context()
        if self._context is None:
            raise SessionFailed(f"{NAME} has no memory left for this model.", hint="Stop other programs on the GPU.")
        self._addressed: object = None
        self._own: TensorRtBinding | None = None

    def run(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        check_feeds(self.inputs, feeds)
        if self._own is None:
            self._own = self.bind()[0]
        for name, array in self._own.inputs.items():
            array[...] = feeds[name]
        return self._own.run()

    def bind(self, slots: int = 1) -> tuple[TensorRtBinding, ...]:
        if self._context is None:
            raise closed(NAME)
        return tuple(TensorRtBinding(self) for _ in range(slots))

    def enqueue(self, binding: object, tensors: list[CudaTensor]) -> None:
        """Start the engine on these tensors (inputs, then outputs) on the session's stream."""
        if self._context is None:
            raise closed(NAME)
        if self._addressed is not binding:
            for name, tensor in zip(self._own_names, tensors, strict=True):
                self._context.set_tensor_address(name, tensor.device)
            self._addressed = binding
        if not self._context.execute_async_v3(self.stream):
            raise SessionFailed(f"{NAME} could not run the model.", hint="Look at `dmesg` and the GPU's memory.")

    def close(self) -> None:
        self._own = None
        self._addressed = None
        self._context = None
        self._engine = None


class TensorRtBinding:
    """Inputs and outputs that the GPU reads and writes."""

    def __init__(self, owner: TensorRtSession) -> None:
        self._owner = owner
        self._in = [owner.cuda.allocate(spec) for spec in owner.inputs]
        self._out = [owner.cuda.allocate(spec) for spec in owner.outputs]
        self.inputs: Mapping[str, Array] = _by_name(owner.inputs, self._in)
        self._outputs = _by_name(owner.outputs, self._out)

    def run(self) -> Mapping[str, Array]:
        cuda, stream = self._owner.cuda, self._owner.stream
        for tensor in self._in:
            cuda.upload(tensor, stream)
        self._owner.enqueue(self, [*self._in, *self._out])
        for tensor in self._out:
            cuda.download(tensor, stream)
        cuda.wait(stream)
        return self._outputs


def _by_name(specs: tuple[TensorSpec, ...], tensors: list[CudaTensor]) -> dict[str, Array]:
    return {spec.name: tensor.host for spec, tensor in zip(specs, tensors, strict=True)}


def _found(trt: Any, engine: Any) -> dict[Any, dict[str, Found]]:
    """Describe the engine's tensors by direction and name; an open dimension is -1 there."""
    found: dict[Any, dict[str, Found]] = {trt.TensorIOMode.INPUT: {}, trt.TensorIOMode.OUTPUT: {}}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        dtype = engine.get_tensor_dtype(name)
        shape = tuple(int(size) for size in engine.get_tensor_shape(name))
        found[engine.get_tensor_mode(name)][name] = Found(shape, _DTYPES.get(dtype.name, dtype.name))
    return found


_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "UINT8": "uint8",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
