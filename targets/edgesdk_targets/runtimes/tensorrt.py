"""TensorRT: runs an engine that is built on the device from the variant's ONNX.

By TensorRT itself, or by TensorRT-RTX on a graphics card where the recipe allows it and only that is installed. What
differs between their versions is in `tensorrt_versions`. Not measured by the project for want of a GPU: building was
tried with TensorRT-RTX, running against a simulation of CUDA.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any

from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.agreement import check_agreement, closed, refuse_dynamic
from edgesdk_targets.runtimes.cuda_memory import Cuda, CudaTensor
from edgesdk_targets.runtimes.run_by_binding import RunByBinding
from edgesdk_targets.runtimes.tensorrt_engine import EngineCache, EnginePlatform, engine_key
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import NAME, TensorRt, choose_library
from edgesdk_targets.session import Load, Session
from edgesdk_targets.tensor import Array, TensorSpec

log = logging.getLogger(__name__)


def open_session(load: Load) -> Session:
    """Load the variant's engine, building it first where this device has not yet done so.

    Raises:
        MissingExtra: tensorrt is not installed.
        SessionFailed: no GPU, or TensorRT refuses the model.
    """
    refuse_dynamic(NAME, load.outputs)
    recipe = Recipe.from_bytes(load.files.get("recipe"))
    trt = choose_library(recipe)
    load.options.imported()
    trt.check_version(recipe)
    cuda = Cuda()
    trt.check_gpu(cuda.gpu.compute_capability)
    return TensorRtSession(trt, _engine(trt, cuda, load), cuda, load)


def _engine(trt: TensorRt, cuda: Cuda, load: Load) -> Any:
    gpu = cuda.gpu
    platform = EnginePlatform(trt.library, trt.version, gpu.name, gpu.compute_capability, gpu.driver)
    cache = EngineCache(load.options.cache_dir or default_cache_dir(), platform)
    model, recipe = load.files["model"], load.files.get("recipe")
    key = engine_key(model, recipe)
    kept = cache.get(key)
    engine = trt.deserialize(kept) if kept is not None else None
    if engine is None:
        cache.forget(key)
        log.info("building the TensorRT engine for %s; this takes minutes, once", gpu.name)
        with load.options.building():
            built = cache.build(key, model, recipe)
        engine = trt.deserialize(built)
    if engine is None:
        cache.forget(key)
        raise SessionFailed(f"{NAME} does not load the engine that it built.", hint="Check the CUDA driver's version.")
    return engine


class _Lane:
    """An execution context with a stream of its own: it runs one binding at a time.

    Attributes:
        addressed: the binding whose memory the context knows.
    """

    def __init__(self, engine: Any, stream: int) -> None:
        self.context: Any = engine.create_execution_context()
        if self.context is None:
            raise SessionFailed(f"{NAME} has no memory left for this model.", hint="Stop other programs on the GPU.")
        self.stream = stream
        self.addressed: object = None


class TensorRtSession(RunByBinding):
    """An engine with a lane for each stream; a binding takes one that is free, or waits for it.

    The memory in which a model computes is the context's, so that more bindings than lanes cost only their tensors.
    """

    accelerated = True

    def __init__(self, trt: TensorRt, engine: Any, cuda: Cuda, load: Load) -> None:
        inputs, outputs = trt.found(engine)
        check_agreement(NAME, "input", load.variant.inputs, inputs)
        check_agreement(NAME, "output", load.variant.outputs, outputs)
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.streams = load.options.streams
        self.cuda = cuda
        self._trt = trt
        self._own_names = [spec.name for spec in (*load.variant.inputs, *load.variant.outputs)]
        self._engine: Any = engine
        self._lanes = [_Lane(engine, cuda.new_stream()) for _ in range(self.streams)]
        self._free: LifoQueue[_Lane] = LifoQueue()
        for lane in self._lanes:
            self._free.put(lane)

    def bind(self, slots: int = 1) -> tuple[TensorRtBinding, ...]:
        if self._engine is None:
            raise closed(NAME)
        return tuple(TensorRtBinding(self) for _ in range(slots))

    def addresses(self, tensors: list[CudaTensor]) -> dict[str, int]:
        """Return where on the GPU these tensors (inputs, then outputs) are, by the engine's names."""
        return {name: tensor.device for name, tensor in zip(self._own_names, tensors, strict=True)}

    @contextmanager
    def lane(self) -> Iterator[_Lane]:
        """Hold a lane that nobody else uses."""
        if self._engine is None:
            raise closed(NAME)
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    def enqueue(self, lane: _Lane, binding: object, addresses: Mapping[str, int]) -> None:
        """Start the engine on a binding's tensors on the lane's stream."""
        if lane.context is None:
            raise closed(NAME)
        moved, lane.addressed = lane.addressed is not binding, binding
        if not self._trt.run(self._engine, lane.context, addresses, lane.stream, moved=moved):
            raise SessionFailed(f"{NAME} could not run the model.", hint="Look at `dmesg` and the GPU's memory.")

    def close(self) -> None:
        self._own = None
        for lane in self._lanes:
            lane.context = lane.addressed = None
        self._engine = None


class TensorRtBinding:
    """Inputs and outputs that the GPU reads and writes."""

    def __init__(self, owner: TensorRtSession) -> None:
        self._owner = owner
        self._in = [owner.cuda.allocate(spec) for spec in owner.inputs]
        self._out = [owner.cuda.allocate(spec) for spec in owner.outputs]
        self._addresses = owner.addresses([*self._in, *self._out])
        self.inputs: Mapping[str, Array] = _by_name(owner.inputs, self._in)
        self._outputs = _by_name(owner.outputs, self._out)

    def run(self) -> Mapping[str, Array]:
        cuda = self._owner.cuda
        with self._owner.lane() as lane:
            for tensor in self._in:
                cuda.upload(tensor, lane.stream)
            self._owner.enqueue(lane, self, self._addresses)
            for tensor in self._out:
                cuda.download(tensor, lane.stream)
            cuda.wait(lane.stream)
        return self._outputs


def _by_name(specs: tuple[TensorSpec, ...], tensors: list[CudaTensor]) -> dict[str, Array]:
    return {spec.name: tensor.host for spec, tensor in zip(specs, tensors, strict=True)}
