"""Will TensorRT's parser take this model? Asked of TensorRT-RTX, which parses without a GPU.

It is a sibling of the Jetson's parser and no proof for it, but what it refuses the other refuses too as far as was seen.
The package is optional and under NVIDIA's own licence; without it nothing is asked.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

from edgesdk_converters.quiet import quiet


@dataclass(frozen=True, slots=True)
class Verdict:
    """The parser's answer.

    Attributes:
        reason: the refused node and op, or why nothing was asked.
    """

    status: Literal["accepted", "refused", "not asked"]
    reason: str = ""


def parser_accepts(onnx: bytes) -> Verdict:
    """Ask TensorRT-RTX's parser about an ONNX model."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        return Verdict("not asked", "tensorrt-rtx is not installed")
    with quiet("tensorrt_rtx_check"):
        try:
            import tensorrt_rtx
        except (ImportError, OSError) as error:
            return Verdict("not asked", f"tensorrt-rtx cannot be imported: {error}")
        logger = tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR)
        builder = tensorrt_rtx.Builder(logger)
        # The parser writes into the network: both must be held for as long as it lives.
        network = builder.create_network(0)
        parser = tensorrt_rtx.OnnxParser(network, logger)
        if parser.parse(onnx):
            return Verdict("accepted")
        problems = [parser.get_error(i) for i in range(parser.num_errors)]
        return Verdict("refused", "; ".join(_words(problem) for problem in problems[:3]))


def _words(problem: Any) -> str:
    op = problem.node_operator() or "?"
    name = problem.node_name() or "?"
    return f"{op} (node {name}): {problem.desc()}"
