"""ONNX Runtime's nodes, from its own profile of one run: operator, element type, execution provider, time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.benchmark.coverage.nodes import ExecutedNode
from edgesdk_targets.bundle.manifest import Variant

# The first provider is where all nodes should run.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_KERNEL = "_kernel_time"
_PRECISIONS = {"float": "f32", "float16": "f16", "bfloat16": "bf16", "uint8": "i8", "int8": "i8"}


def executed_nodes(files: Mapping[str, bytes], variant: Variant, threads: int, folder: Path) -> list[ExecutedNode]:
    """Load the model again with the profiler on, run it twice, and read the second run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.intra_op_num_threads = threads
    providers = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(files["model"], options, providers=providers)
    feeds = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in variant.inputs}
    for _ in range(2):
        session.run(None, feeds)
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    # A node that ran twice is listed twice; the later entry is the warm one.
    found = {
        event["name"]: _node(event)
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL) and "op_name" in event.get("args", {})
    }
    return list(found.values())


def home() -> str:
    """Return the provider on which all nodes should run."""
    import onnxruntime

    return next(name for name in _PROVIDERS if name in onnxruntime.get_available_providers())


def _node(event: Mapping[str, Any]) -> ExecutedNode:
    arguments = event["args"]
    return ExecutedNode(
        event["name"].removesuffix(_KERNEL),
        arguments["op_name"],
        _precision(arguments),
        arguments.get("provider", ""),
        event["dur"] / 1000,
    )


def _precision(arguments: Mapping[str, Any]) -> str:
    """Name the element type of a node's first input, which is what it computes in."""
    entries = [entry for kind in ("input_type_shape", "output_type_shape") for entry in arguments.get(kind, ())]
    element = str(next(iter(entries[0]))) if entries and entries[0] else "unknown"
    return _PRECISIONS.get(element, element)
