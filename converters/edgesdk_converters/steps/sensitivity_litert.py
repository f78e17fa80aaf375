"""What each layer of a LiteRT model costs when it alone is quantised, worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.int8_litert import quantised
from edgesdk_converters.steps.litert_graph import LiteRtGraph
from edgesdk_converters.steps.litert_ranges import feeds_of, measure_ranges
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.tensor import Array

_HINT = "Use --precision fp16 for this model, or ONNX Runtime."
_MOST_DB = 200.0


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What quantising one layer does to the outputs.

    Attributes:
        name: of the operation, as `int8_litert` takes it in `keep_float`.
        sqnr_db: of the output that suffers most, over the samples; low is costly.
        parameters: how many weights it has.
    """

    name: str
    kind: str
    sqnr_db: float
    parameters: int


def layer_costs(
    tflite: bytes,
    samples: Mapping[str, Array],
    *,
    keep_float: Sequence[str] = (),
    fold: Fold | None = None,
    compared: int = 8,
) -> tuple[LayerCost, ...]:
    """Quantise each layer by itself and compare the outputs with the float model's.

    Args:
        tflite: the float model's file.
        samples: as for `int8_litert`; ranges are measured on all of them.
        keep_float: operations that stay float anyway, and are not looked at; `*` is anything.
        fold: as for `int8_litert`.
        compared: on how many samples, spread over all, outputs are compared.

    Raises:
        InputError, StepFailed, MissingExtra: as `int8_litert`.
    """
    with framework_edge("sensitivity_litert", hint=_HINT):
        graph = LiteRtGraph(tflite)
        kept = {*graph.matching(keep_float), *graph.tail()}
        ranges = measure_ranges(tflite, samples, fold=fold)
        feeds = list(feeds_of(_spread(samples, compared), fold))
        wanted = _answers(tflite, feeds)
        layers = [op for op in graph.layers() if op.name not in kept]
        every = {op.name for op in graph.operations}
        costs = []
        for number, op in enumerate(layers, 1):
            content = quantised(tflite, ranges, keep_float=every - {op.name})
            weights = graph.constant(op.inputs[1])
            size = 0 if weights is None else weights.size
            costs.append(LayerCost(op.name, op.kind, _worst_db(wanted, _answers(content, feeds)), size))
            report(f"sensitivity_litert: {number} of {len(layers)} layers")
        return tuple(sorted(costs, key=lambda cost: (cost.sqnr_db, cost.name)))


def _spread(samples: Mapping[str, Array], count: int) -> dict[str, Array]:
    total = min((len(array) for array in samples.values()), default=0)
    chosen = np.unique(np.linspace(0, max(total - 1, 0), min(count, total)).astype(int))
    return {name: array[chosen] for name, array in samples.items()}


def _answers(content: bytes, feeds: Sequence[Sequence[Array]]) -> list[list[Array]]:
    with needs("ai-edge-litert", extra="litert"):
        from ai_edge_litert.interpreter import Interpreter

    runner: Any = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    answers = []
    for feed in feeds:
        said = runner(**{f"args_{number}": value for number, value in enumerate(feed)})
        answers.append([said[f"output_{number}"] for number in range(len(said))])
    return answers


def _worst_db(wanted: Sequence[Sequence[Array]], got: Sequence[Sequence[Array]]) -> float:
    worst = _MOST_DB
    for output in range(len(wanted[0])):
        signal = sum(float((a[output].astype(np.float64) ** 2).sum()) for a in wanted)
        pairs = zip(wanted, got, strict=True)
        noise = sum(float(((a[output].astype(np.float64) - b[output]) ** 2).sum()) for a, b in pairs)
        if noise > 0:
            worst = min(worst, 10 * math.log10(max(signal, 1e-30) / noise))
    return worst
