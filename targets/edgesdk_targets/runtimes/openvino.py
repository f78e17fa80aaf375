"""OpenVINO: runs `.xml` + `.bin` on the processor (x86-64 and ARM).

- The precision is set, never left to the runtime: on a processor with bf16 it would otherwise compute in bf16, which
  is far from what was verified.
- On Arm that takes more than to say so: of a quantised model its plugin computes every convolution that its 8-bit kernels do not
  take in f16, whatever precision is set (2026.4; those with a zero point, and depthwise ones, these by a plain loop). Without
  its low-precision passes all is computed in the precision that is set, from values that are rounded to 8 bits as the model says.
- Threads are pinned to cores only where that is asked for: pinned, two processes on one machine land on the same core.
- A stream is a set of threads that runs one inference; requests of several threads spread over them. One of a single thread that
  is not pinned needs none of its own: the thread that asks does the work. To wake another one and wait for it takes some 55
  microseconds an inference (measured on two cores of an AMD EPYC), which is a third of what a small quantised network takes.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from typing import Any

from edgesdk_targets.cache_folder import default_cache_dir
from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.runtimes.agreement import Found, check_agreement, closed
from edgesdk_targets.runtimes.openvino_kept import KeptModels, kept_key
from edgesdk_targets.runtimes.run_by_binding import RunByBinding
from edgesdk_targets.runtimes.signal_stack import signal_stack_kept
from edgesdk_targets.session import Load, Session, failed
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

NAME = "OpenVINO"
_PRECISIONS = ("f32", "f16", "bf16")
_ARM = frozenset({"aarch64", "arm64"})
# OpenVINO's name of an element type → numpy's.
_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "u8": "uint8",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "boolean": "bool",
}


def open_session(load: Load) -> Session:
    """Load the variant's `model` (XML) and `weights` (bin), compiled for the processor.

    Raises:
        MissingExtra: openvino is not installed.
        SessionFailed: OpenVINO refuses the file, or it differs from the manifest.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error
    load.options.imported()
    try:
        with signal_stack_kept():
            compiled = _compiled(openvino, load, _settings(load))
    except SessionFailed:
        raise
    except Exception as error:  # the library raises RuntimeError for everything
        raise failed(NAME, "load the model", _telling(error)) from error
    for kind, specs, ports in (
        ("input", load.variant.inputs, compiled.inputs),
        ("output", load.variant.outputs, compiled.outputs),
    ):
        check_agreement(NAME, kind, specs, _found(ports))
    return OpenVinoSession(compiled, load)


def _compiled(openvino: Any, load: Load, settings: dict[str, Any]) -> Any:
    core = openvino.Core()
    kept = KeptModels(load.options.cache_dir or default_cache_dir()) if load.options.keep_compiled else None
    key = kept_key(load, settings, openvino.get_version()) if kept else ""
    if kept and (compiled := kept.open(key, lambda blob: core.import_model(blob, "CPU", settings))) is not None:
        return compiled
    model = core.read_model(model=load.files["model"], weights=load.files.get("weights", b""))
    if model.is_dynamic():
        model.reshape({spec.name: list(spec.shape) for spec in load.variant.inputs})
    compiled = core.compile_model(model, "CPU", settings)
    if kept:
        _keep(kept, key, compiled, sum(len(content) for content in load.files.values()))
    return compiled


def _keep(kept: KeptModels, key: str, compiled: Any, size: int) -> None:
    """Keep a compiled model of so many bytes for the next start, where that is worth it; this one runs in any case."""
    try:
        if kept.takes(key, size):
            kept.keep(key, compiled.export_model().getbuffer())
    except Exception as error:  # noqa: BLE001  (the library raises RuntimeError for everything)
        log.debug("the compiled model is not kept: %s", error)


class OpenVinoSession(RunByBinding):
    """A model compiled by OpenVINO.

    Attributes:
        starts_ahead: whether inferences run on threads of OpenVINO's, so that the next can be started before the last is over.
    """

    def __init__(self, compiled: Any, load: Load) -> None:
        self.inputs = load.inputs
        self.outputs = load.outputs
        self.streams = int(compiled.get_property("NUM_STREAMS"))
        # OpenVINO's own threads alone are pinned, and share the work of one inference well with several callers.
        self.starts_ahead = load.options.pin or load.options.threads_each != 1
        self._input_ports = [compiled.input(spec.name) for spec in load.variant.inputs]
        self._output_ports = [compiled.output(spec.name) for spec in load.variant.outputs]
        self.accelerated = any(not name.startswith("CPU") for name in compiled.get_property("EXECUTION_DEVICES"))
        self._compiled: Any = compiled

    def bind(self, slots: int = 1) -> tuple[OpenVinoBinding, ...]:
        return tuple(OpenVinoBinding(self) for _ in range(slots))

    def new_request(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Any:
        """Create an inference request that reads and writes these arrays in place.

        Args:
            inputs: all of them.
            outputs: those of fixed size; OpenVINO allocates the others.
        """
        if self._compiled is None:
            raise closed(NAME)
        import openvino

        request = self._compiled.create_infer_request()
        for ports, specs, arrays in (
            (self._input_ports, self.inputs, inputs),
            (self._output_ports, self.outputs, outputs),
        ):
            for port, spec in zip(ports, specs, strict=True):
                if spec.name in arrays:
                    request.set_tensor(port, openvino.Tensor(arrays[spec.name], shared_memory=True))
        return request

    def read_outputs(self, request: Any, fixed: Mapping[str, Array]) -> dict[str, Array]:
        """Return all outputs of a finished request, in order; those of open size as views of OpenVINO's memory."""
        return {
            spec.name: fixed[spec.name] if spec.name in fixed else request.get_tensor(port).data
            for port, spec in zip(self._output_ports, self.outputs, strict=True)
        }

    @property
    def is_closed(self) -> bool:
        return self._compiled is None

    def close(self) -> None:
        self._own = None
        self._compiled = None
        self._input_ports, self._output_ports = [], []


class OpenVinoBinding:
    """Inputs and outputs in numpy's memory, which OpenVINO reads and writes in place."""

    def __init__(self, owner: OpenVinoSession) -> None:
        self._outputs = {spec.name: spec.empty() for spec in owner.outputs if not spec.dynamic}
        self.inputs: Mapping[str, Array] = {spec.name: spec.empty() for spec in owner.inputs}
        self._owner = owner
        self._request: Any = owner.new_request(self.inputs, self._outputs)
        self._started = False

    def start(self) -> None:
        self._raise_if_closed()
        try:
            self._request.start_async()
        except Exception as error:
            raise failed(NAME, "run the model", _telling(error)) from error
        self._started = True

    @property
    def ran_s(self) -> float:
        return float(self._request.latency) / 1e3

    def run(self) -> Mapping[str, Array]:
        # On OpenVINO's own threads it is started and waited for also where nothing is started ahead: `infer` would do the same.
        if self._owner.starts_ahead and not self._started:
            self.start()
        self._raise_if_closed()
        try:
            if self._started:
                self._started = False
                self._request.wait()
            else:
                # Unless told otherwise it would copy the outputs.
                self._request.infer(share_outputs=True)
        except Exception as error:
            raise failed(NAME, "run the model", _telling(error)) from error
        if len(self._outputs) == len(self._owner.outputs):
            return self._outputs
        return self._owner.read_outputs(self._request, self._outputs)

    def _raise_if_closed(self) -> None:
        if self._owner.is_closed:
            if self._started:
                # It works in memory of ours until it is over.
                self._started = False
                self._request.wait()
            self._request = None
            raise closed(NAME)


def _settings(load: Load) -> dict[str, Any]:
    precision = load.variant.effective_precision
    if precision not in _PRECISIONS:
        raise SessionFailed(
            f"{NAME} cannot compute in {precision!r}.",
            hint=f"A variant's effective_precision is one of: {', '.join(_PRECISIONS)}.",
        )
    settings: dict[str, Any] = {
        **computing_in(precision),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": load.options.streams,
        "ENABLE_CPU_PINNING": load.options.pin,
    }
    if load.options.threads:
        # Of all streams together.
        settings["INFERENCE_NUM_THREADS"] = load.options.threads * load.options.streams
    return settings


def computing_in(precision: str) -> dict[str, Any]:
    """Return the settings that hold OpenVINO to a precision on this processor."""
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
    if platform.machine() in _ARM:
        settings["LP_TRANSFORMS_MODE"] = False
    return settings


def _found(ports: Any) -> dict[str, Found]:
    """Describe a compiled model's inputs or outputs by each of their names."""
    found: dict[str, Found] = {}
    for port in ports:
        shape = tuple(d.get_length() if d.is_static else None for d in port.get_partial_shape())
        element = port.get_element_type().get_type_name()
        for name in port.get_names():
            found[name] = Found(shape, _DTYPES.get(element, element))
    return found


def _telling(error: Exception) -> Exception:
    """Leave out the source lines with which the library opens its messages."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return RuntimeError("\n".join(telling or lines))
