"""Ask TensorRT, without a GPU, whether it takes an ONNX model: parse it, and build an engine that is thrown away.

Rule: it is TensorRT-RTX that is asked, a sibling of the device's: "accepted" is a good sign and no proof, "refused" is told
with op and node. Where its package (optional, NVIDIA's own licence) is missing, or it crashes or hangs, the answer is "not
checked". It works in a process of its own, for at most a few minutes.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any, Literal

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.errors import SessionFailed, StepFailed
from edgesdk_targets.runtimes.tensorrt_build import build_engine
from edgesdk_targets.runtimes.tensorrt_recipe import Recipe
from edgesdk_targets.runtimes.tensorrt_versions import RTX, TensorRt, import_library

# Ampere, as in the Jetsons of the Orin family (8.7), which TensorRT-RTX does not know.
_COMPUTE_CAPABILITY = "8.6"
_WORKSPACE_MB = 512


@dataclass(frozen=True, slots=True)
class Verdict:
    """What TensorRT said.

    Attributes:
        status: "accepted", "refused" or "not checked".
        reason: why, in one line; empty where accepted.
        op, node: what was refused, where it says so; else empty.
        built: an engine was built, and not only the graph read.
    """

    status: Literal["accepted", "refused", "not checked"]
    reason: str = ""
    op: str = ""
    node: str = ""
    built: bool = False


def parser_accepts(onnx: bytes) -> Verdict:
    """Tell whether TensorRT-RTX reads the model and builds an engine of it; needs no GPU."""
    if not _is_installed():
        return Verdict("not checked", "tensorrt-rtx is not installed")
    try:
        verdict: Verdict = run_step(f"{__name__}:check", onnx=onnx)
    except StepFailed as error:
        # It says more of this machine, or of the library, than of the model.
        return Verdict("not checked", error.message)
    return verdict


def check(onnx: bytes) -> Verdict:
    """Parse and build in this process; `parser_accepts` calls it in a child."""
    try:
        trt = TensorRt(RTX, import_library(RTX))
    except SessionFailed as error:  # a library of the package does not load on this machine
        return Verdict("not checked", error.message)
    verdict = _parse(trt.module, onnx)
    if verdict.status == "refused":
        return verdict
    try:
        build_engine(trt, onnx, Recipe(), _WORKSPACE_MB, compute_capability=_COMPUTE_CAPABILITY)
    except SessionFailed as error:
        said = " ".join(error.message.split())
        op, node = _named_in(said, onnx)
        return Verdict("refused", (f"{op} (node {node!r}): {said}" if op else said)[:400], op, node)
    return Verdict("accepted", built=True)


def _named_in(message: str, onnx: bytes) -> tuple[str, str]:
    """Return op and name of the node that the builder's message names; empty where it names none.

    Its layers have the names of the graph's nodes, or of what they give.
    """
    names = {node.name or f"node_of_{node.output[0]}": node.op_type for node in parse_onnx(onnx).graph.node}
    for name in sorted(names, key=len, reverse=True):
        if re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w/])", message):
            return names[name], name
    return "", ""


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(RTX) is not None
    except ValueError:  # an import that was tried before, and failed
        return False


def _parse(trt: Any, onnx: bytes) -> Verdict:
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    # A name of its own, kept to the end: the parser holds no reference, and a freed network ends the process.
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    accepted = parser.parse(onnx) and network.num_outputs > 0
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    del parser
    if accepted:
        return Verdict("accepted")
    if not errors:
        return Verdict("refused", "the parser found no graph in it")
    first = errors[0]
    op, node = first.node_operator() or "", first.node_name() or ""
    said = " ".join((first.desc() or "no reason given").split())
    place = f"{op} (node {node!r}): " if op else ""
    return Verdict("refused", f"{place}{said}"[:400], op, node)
