"""Whether a runtime takes the model: asked of the runtime, its converter or its parser, and of a list where neither is here.

What belongs to a framework runs in a child process, so that a crash of it is an answer, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgesdk_converters.child import run_step
from edgesdk_converters.preflight.graph import Graph, Op
from edgesdk_converters.preflight.tensorrt_ops import refused_ops
from edgesdk_converters.steps.older_opset import older_opset
from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts
from edgesdk_targets.errors import EdgeError, MissingExtra
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec

_ASK = "edgesdk_converters.preflight.asked"
_NAMED = 4
# TensorRT 8 reads up to this; its parser is another than that of TensorRT-RTX, which descends from 10.
_OPSET_OF_8 = 17


@dataclass(frozen=True, slots=True)
class Support:
    """One runtime's answer.

    Attributes:
        status: `yes` from the runtime or converter itself; `likely` from a list; `no`; `not checked`.
        reason: who was asked, or what is in the way; one line.
        ops: what is refused, as `Op (node)`.
        max_opset: the newest that this version of the runtime reads; None where it does not limit.
    """

    runtime: Runtime
    status: Literal["yes", "likely", "no", "not checked"]
    reason: str = ""
    ops: tuple[str, ...] = ()
    max_opset: int | None = None

    @property
    def name(self) -> str:
        return f"{self.runtime.value} (opset {self.max_opset})" if self.max_opset else self.runtime.value

    def to_json(self) -> dict[str, object]:
        return {
            "runtime": self.runtime.value,
            "max_opset": self.max_opset,
            "status": self.status,
            "reason": self.reason,
            "ops": list(self.ops),
        }


def support(
    runtime: Runtime,
    model: bytes,
    graph: Graph,
    outputs: Sequence[TensorSpec],
    *,
    max_opset: int | None,
    from_onnx: bool,
) -> Support:
    """Find out whether a runtime takes the model.

    Args:
        model: static float ONNX.
        outputs: of the source; a size of -1 depends on the picture.
        max_opset: the newest that the target's parser reads.
        from_onnx: the source is ONNX; a torch model reaches LiteRT by another way than its ONNX form.
    """
    answer = _answer(runtime, model, graph, outputs, max_opset=max_opset, from_onnx=from_onnx)
    return replace(answer, max_opset=max_opset)


def _answer(
    runtime: Runtime,
    model: bytes,
    graph: Graph,
    outputs: Sequence[TensorSpec],
    *,
    max_opset: int | None,
    from_onnx: bool,
) -> Support:
    open_outputs = [spec.name for spec in outputs if spec.dynamic]
    if open_outputs and runtime in {Runtime.TENSORRT, Runtime.LITERT}:
        why = f"the size of {', '.join(open_outputs)} depends on the picture (a suppression inside the model)"
        return Support(runtime, "no", why)
    try:
        if runtime is Runtime.TENSORRT:
            return _tensorrt(model, graph, max_opset)
        if runtime is Runtime.LITERT:
            return _litert(model, from_onnx=from_onnx)
        return _asked(runtime, model)
    except MissingExtra as error:
        return Support(runtime, "not checked", error.message.rstrip("."))
    except EdgeError as error:
        return Support(runtime, "no", error.message.rstrip("."))


def _asked(runtime: Runtime, model: bytes) -> Support:
    refused = run_step(f"{_ASK}:{runtime.value}_refuses", model=model)
    if refused:
        return Support(runtime, "no", f"no kernel for {_listed(refused)}", tuple(refused))
    return Support(runtime, "yes", "loads it here")


def _litert(model: bytes, *, from_onnx: bool) -> Support:
    """Whether litert-torch then lowers what the translation makes is known only when it does: never more than likely."""
    refused = run_step(f"{_ASK}:litert_refuses", model=model)
    if refused and from_onnx:
        return Support(Runtime.LITERT, "no", f"no translation for {_listed(refused)}", tuple(refused))
    if refused:
        why = f"its ONNX form has {_listed(refused)}, for which there is no translation; torch models go another way"
        return Support(Runtime.LITERT, "not checked", why, tuple(refused))
    return Support(Runtime.LITERT, "likely", "every operator can be translated")


def _tensorrt(model: bytes, graph: Graph, max_opset: int | None) -> Support:
    refused = refused_ops(graph, max_opset)
    if refused:
        return _refusal(refused)
    older = max_opset is not None and graph.opset > max_opset
    said = parser_accepts(older_opset(model, max_opset) if older and max_opset else model)
    in_opset = f" in opset {max_opset}" if older else ""
    if said.status == "refused":
        op = f"{said.op} ({said.node})" if said.op else said.node
        return Support(Runtime.TENSORRT, "no", f"the parser refuses {said.reason}", (op,) if op else ())
    if said.status == "not checked":
        return Support(Runtime.TENSORRT, "likely", f"no operator is on the list of what it refuses ({said.reason})")
    does = f"TensorRT-RTX {'builds it' if said.built else 'reads it'} without a GPU{in_opset}"
    if max_opset is not None and max_opset <= _OPSET_OF_8:
        return Support(Runtime.TENSORRT, "likely", f"{does}, and the older parser there lists its operators")
    return Support(Runtime.TENSORRT, "yes", does)


def _refusal(refused: Sequence[Op]) -> Support:
    named = tuple(f"{op.op} ({op.name})" for op in refused)
    return Support(Runtime.TENSORRT, "no", f"its parser has no {_listed(named)}", named)


def _listed(ops: Sequence[str]) -> str:
    more = f" and {len(ops) - _NAMED} more" if len(ops) > _NAMED else ""
    return ", ".join(ops[:_NAMED]) + more
