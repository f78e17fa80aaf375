"""Ask a TensorRT parser, without a GPU, whether it takes an ONNX model.

Rule: the parser is that of TensorRT-RTX, a sibling of the device's: "accepted" is a good sign and no proof, "refused" is told
with op and node. Where its package (optional, NVIDIA's own licence) is missing, the answer is "not checked".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgesdk_converters.quiet import quiet


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the parser said.

    Attributes:
        status: "accepted", "refused" or "not checked".
        reason: why, in one line; empty where accepted.
        op, node: what was refused, where the parser says it; else empty.
    """

    status: Literal["accepted", "refused", "not checked"]
    reason: str = ""
    op: str = ""
    node: str = ""


def parser_accepts(onnx: bytes) -> Verdict:
    """Tell whether the TensorRT-RTX parser takes the model; builds nothing, needs no GPU."""
    try:
        import tensorrt_rtx
    except (ImportError, OSError) as error:  # OSError: a library of the package does not load on this machine
        missing = isinstance(error, ModuleNotFoundError)
        return Verdict(
            "not checked", "tensorrt-rtx is not installed" if missing else f"tensorrt-rtx does not load: {error}"
        )
    with quiet("tensorrt_rtx_check"):
        return _parse(tensorrt_rtx, onnx)


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
