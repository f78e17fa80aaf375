"""OpenVINO's nodes, from the graph as it was compiled, which says each node's precision and time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.benchmark.coverage.nodes import ExecutedNode
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.runtimes.openvino import computing_in
from edgesdk_targets.runtimes.signal_stack import signal_stack_kept

_PRECISIONS = {"u8": "i8", "i8": "i8", "f32": "f32", "f16": "f16", "bf16": "bf16"}
# Not executed: where values come from and go to.
_BORDERS = {"Input", "Output", "Const"}


def executed_nodes(files: Mapping[str, bytes], variant: Variant, threads: int, folder: Path) -> list[ExecutedNode]:  # noqa: ARG001
    """Compile the model again with counters on, run it twice, and read the compiled graph."""
    import openvino

    core = openvino.Core()
    model = core.read_model(model=files["model"], weights=files.get("weights", b""))
    if model.is_dynamic():
        model.reshape({spec.name: list(spec.shape) for spec in variant.inputs})
    settings: dict[str, Any] = {
        **computing_in(variant.effective_precision),
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": True,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    with signal_stack_kept():
        compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    for _ in range(2):
        request.infer()
    found = [_node(op.get_friendly_name(), op.get_rt_info()) for op in compiled.get_runtime_model().get_ops()]
    return [node for node in found if node is not None]


def home() -> str:
    """All nodes run in one place."""
    return ""


def _node(name: str, info: Any) -> ExecutedNode | None:
    """Read one node; None for those that the runtime does not execute."""
    said = {key: str(info[key].value if hasattr(info[key], "value") else info[key]) for key in info}
    time = said.get("execTimeMcs", "")
    if said.get("layerType", "") in _BORDERS or not time.isdigit():
        return None
    precision = said.get("runtimePrecision", "unknown")
    return ExecutedNode(name, said["layerType"], _PRECISIONS.get(precision, precision), "CPU", int(time) / 1000)
