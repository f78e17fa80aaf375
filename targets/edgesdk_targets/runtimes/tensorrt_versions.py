"""The differences between the TensorRTs, all of them: 8.x, 10, 11, and TensorRT-RTX.

| | 8.2 | 8.5, 8.6 | 10 | 11 | RTX |
|---|---|---|---|---|---|
| graph's types | hints: flags and constraints | the same | kept if told (STRONGLY_TYPED) | always kept | the same |
| network | EXPLICIT_BATCH has to be asked for | the same | always | always | always |
| scratch memory | `max_workspace_size` | `MemoryPoolType.WORKSPACE` | the same | the same | the same |
| tensors of an engine | bindings, by index | by name | by name | by name | by name |
| a run | `execute_async_v2(bindings, stream)` | `execute_async_v3(stream)` | the same | the same | the same |
| timing cache | yes | yes | yes | yes | does nothing |
| GPU that is built for | this one | this one | this one | this one | named |

What a library has is asked of the library, and not of its version, wherever its names tell it. The columns for 8.x are
from NVIDIA's API reference and tried against a simulation only; building by RTX is tried with the library itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.runtimes.agreement import Found
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.session import failed
from edgesdk_targets.target import Precision

NAME = "TensorRT"
RTX = "tensorrt_rtx"
FIRST_STRONGLY_TYPED = 10
FIRST_ALWAYS_TYPED = 11
# TensorRT's name of an element type → numpy's.
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "UINT8": "uint8",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
# Layers without arithmetic of their own: their type follows from what they hold or lead to.
_FREE_LAYERS = frozenset({"CONSTANT", "SHAPE", "CAST", "IDENTITY", "SHUFFLE", "QUANTIZE", "DEQUANTIZE"})


def import_library(name: str) -> Any:
    """Import `tensorrt` or its sibling.

    Raises:
        MissingExtra: it is not installed.
        SessionFailed: it is, but a library that it needs is not.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra(name, name.replace("_", "-")) from error
    except (ImportError, OSError) as error:
        raise failed(NAME, f"be loaded from {name}", error) from error


@dataclass(frozen=True, slots=True)
class TensorRt:
    """One of the TensorRTs, spoken to in one way.

    Attributes:
        library: `tensorrt` or `tensorrt_rtx`.
        module: the imported package.
    """

    library: str
    module: Any

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def is_rtx(self) -> bool:
        return self.library == RTX

    def check_version(self, recipe: Recipe) -> None:
        """Raise SessionFailed where this TensorRT is older than the recipe asks for."""
        wanted = recipe.min_tensorrt
        if wanted is not None and not self.is_rtx and _numbers(self.version) < _numbers(wanted):
            raise SessionFailed(
                f"TensorRT {self.version} is too old for this variant, which needs {wanted}.",
                hint="Update the device (JetPack 6 brings TensorRT 10.3), or choose another variant (`--variant`).",
            )

    def check_gpu(self, compute_capability: str) -> None:
        """Raise SessionFailed where this library builds for no GPU of that kind (`8.6`); only RTX has a list."""
        if self.is_rtx and _sm(compute_capability) not in self.module.ComputeCapability.__members__:
            kinds = [name for name in self.module.ComputeCapability.__members__ if name.startswith("SM")]
            raise SessionFailed(
                f"TensorRT-RTX builds for no GPU of compute capability {compute_capability}.",
                hint=f"It builds for {', '.join(kinds)}; other GPUs take TensorRT itself.",
            )

    def keeps_types(self) -> bool:
        """Tell whether the network keeps the graph's types, by being told or always."""
        return self.is_rtx or _numbers(self.version)[0] >= FIRST_STRONGLY_TYPED

    def network_flags(self) -> int:
        """Return the flags of a network that takes our ONNX."""
        if self.is_rtx or _numbers(self.version)[0] >= FIRST_ALWAYS_TYPED:
            return 0
        flags = self.module.NetworkDefinitionCreationFlag
        return 1 << int(flags.STRONGLY_TYPED if self.keeps_types() else flags.EXPLICIT_BATCH)

    def configure(
        self, builder: Any, network: Any, recipe: Recipe, workspace_mb: int, compute_capability: str | None = None
    ) -> Any:
        """Return the builder's configuration for a parsed network.

        Args:
            compute_capability: the GPU that is built for; asked only by TensorRT-RTX, which builds without one.
        """
        trt, config = self.module, builder.create_builder_config()
        if hasattr(trt.BuilderFlag, "TF32"):
            # On by default: it would compute fp32 with ten bits of mantissa.
            config.clear_flag(trt.BuilderFlag.TF32)
        if hasattr(config, "set_memory_pool_limit"):
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mb << 20)
        else:
            config.max_workspace_size = workspace_mb << 20
        if recipe.optimization_level is not None and hasattr(config, "builder_optimization_level"):
            config.builder_optimization_level = recipe.optimization_level
        if not self.keeps_types():
            self._allow_types(config, network, recipe.precision)
        if self.is_rtx and compute_capability is not None:
            self.check_gpu(compute_capability)
            config.num_compute_capabilities = 1
            config.set_compute_capability(trt.ComputeCapability.__members__[_sm(compute_capability)], 0)
        return config

    def _allow_types(self, config: Any, network: Any, precision: Precision) -> None:
        """Allow the types that the graph is written in, and no others.

        With QDQ in the graph the flag for int8 is enough: quantised is what stands between Q and DQ, and a constraint
        would keep it from being fused. Half precision is a licence for every layer, so each is held to what the
        library read from the graph; at worst a layer computes in more bits than meant.
        """
        flags = self.module.BuilderFlag
        if precision in {Precision.INT8, Precision.MIXED}:
            config.set_flag(flags.INT8)
        elif precision is Precision.FP16:
            config.set_flag(flags.FP16)
            # Its name before 8.2, when it was a wish.
            config.set_flag(getattr(flags, "OBEY_PRECISION_CONSTRAINTS", None) or flags.STRICT_TYPES)
            for index in range(network.num_layers):
                self._hold(network.get_layer(index))

    def _hold(self, layer: Any) -> None:
        if layer.type.name in _FREE_LAYERS:
            return
        for index in range(layer.num_outputs):
            tensor = layer.get_output(index)
            if tensor is None or tensor.is_shape_tensor or tensor.dtype.name not in {"FLOAT", "HALF"}:
                continue
            layer.precision = tensor.dtype
            layer.set_output_type(index, tensor.dtype)

    def use_timing_cache(self, config: Any, kept: bytes) -> None:
        """Let the builder know what it measured before; nothing kept, or another GPU's, begins an empty one."""
        if self.is_rtx:  # it compiles for the GPU when it runs; its timing cache does nothing, and warns of it
            return
        cache = config.create_timing_cache(kept) if kept else None
        if cache is None or not config.set_timing_cache(cache, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def timing_cache(self, config: Any) -> bytes:
        """Return what the builder measured so far; nothing where the library keeps none."""
        cache = None if self.is_rtx else config.get_timing_cache()
        return bytes(cache.serialize()) if cache is not None else b""

    def build(self, builder: Any, network: Any, config: Any) -> bytes | None:
        """Build and serialise; None where the builder gave up."""
        engine = builder.build_serialized_network(network, config)
        return bytes(engine) if engine is not None else None

    def deserialize(self, engine: bytes) -> Any:
        """Load an engine; None where this library, GPU or driver does not take it."""
        runtime = self.module.Runtime(self.module.Logger(self.module.Logger.ERROR))
        return runtime.deserialize_cuda_engine(engine)

    def found(self, engine: Any) -> tuple[dict[str, Found], dict[str, Found]]:
        """Describe an engine's inputs and outputs by name; an open dimension is -1 there."""
        inputs: dict[str, Found] = {}
        outputs: dict[str, Found] = {}
        if hasattr(engine, "num_io_tensors"):
            mode = self.module.TensorIOMode.INPUT
            for index in range(engine.num_io_tensors):
                name = engine.get_tensor_name(index)
                kind = inputs if engine.get_tensor_mode(name) == mode else outputs
                kind[name] = _described(engine.get_tensor_shape(name), engine.get_tensor_dtype(name))
        else:
            for index in range(engine.num_bindings):
                kind = inputs if engine.binding_is_input(index) else outputs
                shape, dtype = engine.get_binding_shape(index), engine.get_binding_dtype(index)
                kind[engine.get_binding_name(index)] = _described(shape, dtype)
        return inputs, outputs

    def run(self, engine: Any, context: Any, addresses: Mapping[str, int], stream: int, *, moved: bool) -> bool:
        """Start an engine on a stream.

        Args:
            addresses: of every input and output on the GPU, by name.
            moved: they differ from those of the last run.
        """
        if hasattr(context, "execute_async_v3"):
            if moved:
                for name, address in addresses.items():
                    context.set_tensor_address(name, address)
            return bool(context.execute_async_v3(stream))
        names: Sequence[str] = [engine.get_binding_name(index) for index in range(engine.num_bindings)]
        return bool(context.execute_async_v2([addresses[name] for name in names], stream))


def choose_library(recipe: Recipe) -> TensorRt:
    """Import the first of the recipe's libraries that is installed.

    Raises:
        MissingExtra: none is; the first is named.
        SessionFailed: it does not load.
    """
    missing: MissingExtra | None = None
    for name in recipe.libraries:
        try:
            return TensorRt(name, import_library(name))
        except MissingExtra as error:
            missing = missing or error
    assert missing is not None  # noqa: S101  (a recipe names at least one)
    raise missing


def _described(shape: Any, dtype: Any) -> Found:
    return Found(tuple(int(size) for size in shape), _DTYPES.get(dtype.name, dtype.name))


def _sm(compute_capability: str) -> str:
    return "SM" + compute_capability.replace(".", "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
