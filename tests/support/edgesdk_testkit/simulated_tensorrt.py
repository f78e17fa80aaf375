"""A simulation of TensorRT's Python package, in the forms that its versions have.

Execution: an engine reads and writes nothing but the addresses that its context was given, and its arithmetic is the
tiny models' own. Building: what the builder is told is kept, and refused where that version would refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

from edgesdk_testkit.simulated_cuda import SimulatedCuda
from edgesdk_testkit.tiny_models import TinyModel

DataType = Enum("DataType", ["FLOAT", "HALF", "UINT8", "INT32"])
_DATA_TYPES = {"float32": DataType.FLOAT, "float16": DataType.HALF, "uint8": DataType.UINT8}


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class _Logger:
    ERROR, INTERNAL_ERROR = 1, 0

    def __init__(self, severity: int = 1) -> None:
        self.severity = severity


class _ILogger:
    def __init__(self) -> None:
        pass


class SimulatedTensorRt:
    """Stands for the module `tensorrt`: loads `engine:NAME` for each of the tiny models, and builds a given network.

    Args:
        network: what the parser makes of any model.

    Attributes:
        told: what the builder was told: names with values.
    """

    TensorIOMode = TensorIOMode
    Logger = _Logger
    ILogger = _ILogger

    def __init__(
        self,
        cuda: SimulatedCuda,
        models: Mapping[str, TinyModel],
        version: str = "10.3.0",
        network: Sequence[SimulatedLayer] = (),
    ) -> None:
        self._cuda = cuda
        self._models = models
        self.__version__ = version
        self.numbers = tuple(int(part) for part in version.split(".")[:2])
        self.network = SimpleNamespace(num_inputs=1, num_layers=len(network), get_layer=lambda index: network[index])
        self.told: dict[str, Any] = {}
        major = self.numbers[0]
        flags = ["TF32"] if major >= 11 else ["TF32", "FP16", "INT8"]
        flags += ["OBEY_PRECISION_CONSTRAINTS"] if (8, 2) <= self.numbers < (11,) else []
        flags += ["STRICT_TYPES"] if self.numbers < (8, 5) else []
        self.BuilderFlag = Enum("BuilderFlag", flags)
        kinds = {"EXPLICIT_BATCH": 0} | ({"STRONGLY_TYPED": 1} if major >= 10 else {})
        self.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", kinds)
        if self.numbers >= (8, 4):
            self.MemoryPoolType = Enum("MemoryPoolType", ["WORKSPACE"])

    @property
    def by_name(self) -> bool:
        return self.numbers >= (8, 5)

    def Runtime(self, logger: object) -> SimulatedTensorRt:  # noqa: N802
        return self

    def deserialize_cuda_engine(self, data: bytes) -> Any:
        model = self._models.get(data.removeprefix(b"engine:").decode(errors="replace"))
        if model is None or not data.startswith(b"engine:"):
            return None
        return (_EngineByName if self.by_name else _EngineByIndex)(model, self._cuda)

    def Builder(self, logger: object) -> SimulatedTensorRt:  # noqa: N802
        return self

    def create_network(self, flags: int) -> Any:
        self.told["network flags"] = flags
        assert flags < 1 << len(self.NetworkDefinitionCreationFlag), "a flag that this version does not have"
        return self.network

    def OnnxParser(self, network: Any, logger: object) -> Any:  # noqa: N802
        return SimpleNamespace(parse=lambda model: True, num_errors=0)

    def create_builder_config(self) -> Any:
        return SimulatedConfig(self)

    def build_serialized_network(self, network: Any, config: SimulatedConfig) -> bytes:
        config.measured = b"measured on " + self.__version__.encode()
        return b"engine:cnn"


class SimulatedConfig:
    """What a builder is told; a name that the version lacks is an AttributeError, as on the real one."""

    def __init__(self, trt: SimulatedTensorRt) -> None:
        told = trt.told
        told["flags"] = {"TF32"}
        self.measured = b""
        self.set_flag = lambda flag: told["flags"].add(flag.name)
        self.clear_flag = lambda flag: told["flags"].discard(flag.name)
        self.create_timing_cache = lambda data: None if data.startswith(b"other") else data
        self.get_timing_cache = lambda: SimpleNamespace(serialize=lambda: told["timing"] + self.measured)
        if hasattr(trt, "MemoryPoolType"):
            self.set_memory_pool_limit = lambda pool, size: told.update(workspace=size)
        if trt.numbers >= (8, 6):
            self.builder_optimization_level = 3

        def set_timing_cache(data: bytes, ignore_mismatch: bool) -> bool:
            told["timing"] = data
            return True

        self.set_timing_cache = set_timing_cache
        self._told = told

    @property
    def max_workspace_size(self) -> int:
        return int(self._told["workspace"])

    @max_workspace_size.setter
    def max_workspace_size(self, size: int) -> None:
        self._told["workspace"] = size


class SimulatedLayer:
    """A layer of one output, as the parser leaves it.

    Attributes:
        precision: what its arithmetic was held to; None where nothing was said.
        output_type: likewise.
    """

    num_outputs = 1

    def __init__(self, kind: str, dtype: str, *, is_shape_tensor: bool = False) -> None:
        self.type = SimpleNamespace(name=kind)
        self._output = SimpleNamespace(dtype=DataType[dtype], is_shape_tensor=is_shape_tensor)
        self.precision: Any = None
        self.output_type: Any = None

    def get_output(self, index: int) -> Any:
        return self._output

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_type = dtype


class _Engine:
    """An engine of a tiny model."""

    def __init__(self, model: TinyModel, cuda: SimulatedCuda) -> None:
        self.model = model
        self.cuda = cuda
        self.specs = {spec.name: spec for spec in (*model.inputs, *model.outputs)}
        self.names = list(self.specs)

    def is_input(self, name: str) -> bool:
        return any(spec.name == name for spec in self.model.inputs)

    def run(self, addresses: Mapping[str, int], stream: int) -> bool:
        model, cuda = self.model, self.cuda
        if set(addresses) != set(self.specs):
            return False

        def work() -> None:
            feeds = {spec.name: cuda.memory(addresses[spec.name], spec) for spec in model.inputs}
            if not cuda.computes:
                return
            answer = model.reference(feeds)
            for spec in model.outputs:
                cuda.memory(addresses[spec.name], spec)[...] = answer[spec.name]

        cuda.enqueue(work, stream)
        return True


class _EngineByName(_Engine):
    """As from TensorRT 8.5 on."""

    @property
    def num_io_tensors(self) -> int:
        return len(self.specs)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.specs[name].shape

    def get_tensor_dtype(self, name: str) -> Any:
        return _DATA_TYPES[self.specs[name].dtype]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if self.is_input(name) else TensorIOMode.OUTPUT

    def create_execution_context(self) -> _ContextByName:
        return _ContextByName(self)


class _ContextByName:
    """Runs the model on the addresses it was given."""

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        return self._engine.run(dict(self._addresses), stream)


class _EngineByIndex(_Engine):
    """As before TensorRT 8.5; the order of bindings is the engine's own, here the reverse."""

    def __init__(self, model: TinyModel, cuda: SimulatedCuda) -> None:
        super().__init__(model, cuda)
        self.names.reverse()

    @property
    def num_bindings(self) -> int:
        return len(self.names)

    def get_binding_name(self, index: int) -> str:
        return self.names[index]

    def get_binding_shape(self, index: int) -> tuple[int, ...]:
        return self.specs[self.names[index]].shape

    def get_binding_dtype(self, index: int) -> Any:
        return _DATA_TYPES[self.specs[self.names[index]].dtype]

    def binding_is_input(self, index: int) -> bool:
        return self.is_input(self.names[index])

    def create_execution_context(self) -> _ContextByIndex:
        return _ContextByIndex(self)


class _ContextByIndex:
    def __init__(self, engine: _EngineByIndex) -> None:
        self._engine = engine

    def execute_async_v2(self, bindings: Sequence[int], stream: int) -> bool:
        return self._engine.run(dict(zip(self._engine.names, bindings, strict=True)), stream)
