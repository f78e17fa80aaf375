"""ONNX Runtime: runs `.onnx` on any CPU, and TensorRT's ONNX files where TensorRT itself is absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk_targets.errors import MissingExtra
from edgesdk_targets.session import Load, Session, failed
from edgesdk_targets.tensor import Array, check_feeds

NAME = "ONNX Runtime"
# Fastest first; a provider that this build does not have is skipped.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def open_session(load: Load) -> Session:
    """Load the variant's `.onnx`.

    Raises:
        MissingExtra: onnxruntime is not installed.
        SessionFailed: ONNX Runtime refuses the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if load.options.threads:
        options.intra_op_num_threads = load.options.threads
    options.inter_op_num_threads = 1
    available = onnxruntime.get_available_providers()
    providers = [name for name in _PROVIDERS if name in available]
    try:
        session = onnxruntime.InferenceSession(load.files["model"], options, providers=providers)
    except Exception as error:  # the library raises a class of its own for each status
        raise failed(NAME, "load the model", error) from error
    return OnnxRuntimeSession(session, load)


class OnnxRuntimeSession:
    """A model loaded by ONNX Runtime."""

    def __init__(self, session: Any, load: Load) -> None:
        self.inputs = load.inputs
        self.outputs = load.outputs
        self._session = session
        self._input_names = [spec.name for spec in load.variant.inputs]
        self._output_names = [spec.name for spec in load.variant.outputs]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        check_feeds(self.inputs, feeds)
        own = {name: feeds[spec.name] for name, spec in zip(self._input_names, self.inputs, strict=True)}
        try:
            arrays = self._session.run(self._output_names, own)
        except Exception as error:
            raise failed(NAME, "run the model", error) from error
        return {spec.name: array for spec, array in zip(self.outputs, arrays, strict=True)}

    def bind(self, slots: int = 1) -> tuple[OnnxRuntimeBinding, ...]:
        return tuple(OnnxRuntimeBinding(self, self._session) for _ in range(slots))

    def bind_memory(self, binding: Any, arrays: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Give numpy's memory to one of the runtime's I/O bindings (shared, not copied, on the CPU)."""
        import onnxruntime

        value = onnxruntime.OrtValue.ortvalue_from_numpy
        for name, spec in zip(self._input_names, self.inputs, strict=True):
            binding.bind_ortvalue_input(name, value(arrays[spec.name]))
        for name, spec in zip(self._output_names, self.outputs, strict=True):
            if spec.dynamic:
                binding.bind_output(name)
            else:
                binding.bind_ortvalue_output(name, value(outputs[spec.name]))

    def close(self) -> None:
        self._session = None


class OnnxRuntimeBinding:
    """Inputs and outputs in numpy's memory, which ONNX Runtime reads and writes in place."""

    def __init__(self, owner: OnnxRuntimeSession, session: Any) -> None:
        self._arrays = {spec.name: spec.empty() for spec in owner.inputs}
        self._outputs = {spec.name: spec.empty() for spec in owner.outputs if not spec.dynamic}
        self._names = [spec.name for spec in owner.outputs]
        self.inputs: Mapping[str, Array] = self._arrays
        self._session = session
        self._io = session.io_binding()
        owner.bind_memory(self._io, self._arrays, self._outputs)

    def run(self) -> Mapping[str, Array]:
        try:
            self._session.run_with_iobinding(self._io)
        except Exception as error:
            raise failed(NAME, "run the model", error) from error
        if len(self._outputs) == len(self._names):
            return self._outputs
        arrays = (value.numpy() for value in self._io.get_outputs())
        return dict(zip(self._names, arrays, strict=True))
