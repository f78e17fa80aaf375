"""ONNX Runtime: runs `.onnx` on any CPU, and TensorRT's ONNX files where TensorRT itself is absent or fails.

One session serves all streams: it keeps nothing of a run, and its threads are shared. With one thread each the thread
that calls does the work itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk_targets.errors import MissingExtra
from edgesdk_targets.runtimes.agreement import Found, check_agreement, closed
from edgesdk_targets.runtimes.onnxruntime_providers import CPU, NAME, PassedOver, start
from edgesdk_targets.session import Load, Session, Spin, failed
from edgesdk_targets.tensor import Array, check_feeds

# ONNX Runtime's name of an element type → numpy's.
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"} | {
    f"tensor({name})": name for name in ("uint8", "int8", "int32", "int64", "bool")
}

# Its threads spin all the time unless it is told otherwise. Measured in docs/decisions/0017.
_SPIN: dict[Spin, dict[str, str]] = {
    "always": {},
    "within": {"session.force_spinning_stop": "1"},
    "never": {"session.intra_op.allow_spinning": "0"},
}


def open_session(load: Load) -> Session:
    """Load the variant's `.onnx`.

    Raises:
        MissingExtra: onnxruntime is not installed.
        SessionFailed: ONNX Runtime refuses the file, or it differs from the manifest.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    load.options.imported()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if load.options.threads_each:
        options.intra_op_num_threads = load.options.threads_each
    options.inter_op_num_threads = 1
    for key, value in _SPIN[load.options.spin].items():
        options.add_session_config_entry(key, value)
    session, passed_over = start(onnxruntime, load, options)
    check_agreement(NAME, "input", load.variant.inputs, _found(session.get_inputs()))
    check_agreement(NAME, "output", load.variant.outputs, _found(session.get_outputs()))
    return OnnxRuntimeSession(session, load, passed_over)


def _found(tensors: Any) -> dict[str, Found]:
    return {tensor.name: Found(tuple(tensor.shape), _DTYPES.get(tensor.type, tensor.type)) for tensor in tensors}


class OnnxRuntimeSession:
    """A model loaded by ONNX Runtime.

    Attributes:
        passed_over: (provider, reason) of the faster providers that do not run it here.
        accelerated: whether a provider other than the processor's runs it.
        on_caller: with one thread each, the one that calls does the work itself.
    """

    def __init__(self, session: Any, load: Load, passed_over: PassedOver = ()) -> None:
        self.passed_over = passed_over
        self.accelerated = session.get_providers()[0] != CPU
        self.on_caller = load.options.threads_each == 1 and not self.accelerated
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.streams = load.options.streams
        self._session: Any = session
        self._input_names = [spec.name for spec in load.variant.inputs]
        self._output_names = [spec.name for spec in load.variant.outputs]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        check_feeds(self.inputs, feeds)
        if self._session is None:
            raise closed(NAME)
        own = {name: feeds[spec.name] for name, spec in zip(self._input_names, self.inputs, strict=True)}
        try:
            arrays = self._session.run(self._output_names, own)
        except Exception as error:
            raise failed(NAME, "run the model", error) from error
        return {spec.name: array for spec, array in zip(self.outputs, arrays, strict=True)}

    def bind(self, slots: int = 1) -> tuple[OnnxRuntimeBinding, ...]:
        if self._session is None:
            raise closed(NAME)
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

    def release_open_outputs(self, binding: Any) -> None:
        """Let outputs of open size be allocated anew; ONNX Runtime would insist on the last run's size."""
        for name, spec in zip(self._output_names, self.outputs, strict=True):
            if spec.dynamic:
                binding.bind_output(name)

    @property
    def is_closed(self) -> bool:
        return self._session is None

    def close(self) -> None:
        self._session = None


class OnnxRuntimeBinding:
    """Inputs and outputs in numpy's memory, which ONNX Runtime reads and writes in place."""

    def __init__(self, owner: OnnxRuntimeSession, session: Any) -> None:
        self._arrays = {spec.name: spec.empty() for spec in owner.inputs}
        self._outputs = {spec.name: spec.empty() for spec in owner.outputs if not spec.dynamic}
        self._names = [spec.name for spec in owner.outputs]
        self.inputs: Mapping[str, Array] = self._arrays
        self._owner = owner
        self._session: Any = session
        self._io: Any = session.io_binding()
        owner.bind_memory(self._io, self._arrays, self._outputs)

    def run(self) -> Mapping[str, Array]:
        if self._owner.is_closed:
            self._session = self._io = None
            raise closed(NAME)
        all_fixed = len(self._outputs) == len(self._names)
        try:
            if not all_fixed:
                self._owner.release_open_outputs(self._io)
            self._session.run_with_iobinding(self._io)
        except Exception as error:
            raise failed(NAME, "run the model", error) from error
        if all_fixed:
            return self._outputs
        arrays = (value.numpy() for value in self._io.get_outputs())
        return dict(zip(self._names, arrays, strict=True))
