"""What flows through a float LiteRT model on calibration samples: each tensor's range, and the means that layers see.

Rule: a range is the smallest and the largest value over all samples. Averages of them, usual elsewhere, cut off what the
rarer pictures reach (measured on MobileNetV2: 15 against 20 dB).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesdk_converters.framework_edge import needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.litert_graph import LiteRtGraph
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_REPORT_EVERY = 32


@dataclass(slots=True)
class Ranges:
    """What was seen, by tensor name.

    Attributes:
        low, high: of every float tensor.
        means: (C,) of the inputs of layers with weights, over samples and places.
        samples: how many were run.
    """

    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    means: dict[str, Array] = field(default_factory=dict)
    samples: int = 0

    def step(self, name: str) -> float:
        """Return the step of int8 over a tensor's range, which always holds nought."""
        return (max(self.high[name], 0.0) - min(self.low[name], 0.0)) / 255


def feeds_of(samples: Mapping[str, Array], fold: Fold | None = None) -> Iterator[list[Array]]:
    """Yield the inputs of each sample, in the order of the model's inputs.

    Args:
        fold: the first input is given back as the pixels it was made from, uint8 NHWC.

    Raises:
        InputError: there are none, the inputs have different numbers of them, or one holds NaN.
    """
    counts = {name: len(array) for name, array in samples.items()}
    if not counts or min(counts.values()) == 0:
        raise InputError("There are no calibration samples.", hint="Give pictures like those the device will see.")
    if len(set(counts.values())) > 1:
        raise InputError(
            f"The inputs have different numbers of samples: {counts}.", hint="Give one of each input for each sample."
        )
    arrays = list(samples.values())
    for number in range(len(arrays[0])):
        feed = [np.ascontiguousarray(array[number]) for array in arrays]
        if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in feed):
            raise InputError(
                f"Calibration sample {number} holds NaN or an infinity.",
                hint="Check `mean` and `std`, and the pictures.",
            )
        if fold is not None:
            feed[0] = _pixels(feed[0], fold)
        yield feed


def _pixels(prepared: Array, fold: Fold) -> Array:
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (fold.mean, fold.std))
    pixels: Array = np.clip(np.rint(prepared * std + mean), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def measure_ranges(content: bytes, samples: Mapping[str, Array], *, fold: Fold | None = None) -> Ranges:
    """Run a float model on samples.

    Args:
        content: a float `.tflite` with fixed shapes.
        samples: input name → (N, *shape), in the order of the model's inputs.
        fold: the file was converted with it; samples are still those of the model without.

    Raises:
        InputError: samples do not fit the inputs, or a tensor became NaN.
    """
    graph = LiteRtGraph(content)
    watched = {t for op in graph.operations for t in (*op.inputs, *op.outputs)} - _constants(graph)
    inner = {op.inputs[0] for op in graph.layers()}
    interpreter = _interpreter(content)
    floats = {d["index"]: d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32}
    found, sums = Ranges(), dict[str, Array]()
    for feed in feeds_of(samples, fold):
        _run(interpreter, graph, feed)
        for index in watched & set(floats):
            _note(found, sums, floats[index], interpreter.tensor(index)(), is_inner=index in inner)
        found.samples += 1
        if found.samples % _REPORT_EVERY == 0:
            report(f"int8_litert: measured {found.samples} samples")
    found.means = {name: total / found.samples for name, total in sums.items()}
    return found


def _note(found: Ranges, sums: dict[str, Array], name: str, value: Array, *, is_inner: bool) -> None:
    """Take one tensor of one sample into account; no view of it outlives this, or the library would refuse to go on."""
    low, high = float(value.min()), float(value.max())
    if not np.isfinite(low + high):
        # A maximum is padded with minus infinity, which no range need hold.
        finite = value[np.isfinite(value)]
        if np.isnan(value).any() or not finite.size:
            raise InputError(
                f"The model's tensor {name!r} holds NaN or only infinities on a calibration sample.",
                hint="Check the weights and the samples; such a model cannot be quantised.",
            )
        low, high = float(finite.min()), float(finite.max())
    found.low[name] = min(low, found.low.get(name, low))
    found.high[name] = max(high, found.high.get(name, high))
    if is_inner:
        mean = value.reshape(-1, value.shape[-1]).mean(0, dtype=np.float64)
        sums[name] = sums.get(name, np.zeros_like(mean)) + mean


def _constants(graph: LiteRtGraph) -> set[int]:
    made = {t for op in graph.operations for t in op.outputs} | set(graph.inputs)
    return {t for op in graph.operations for t in op.inputs if t not in made}


def _interpreter(content: bytes) -> Any:
    with needs("ai-edge-litert", extra="litert"):
        from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    return interpreter


def _run(interpreter: Any, graph: LiteRtGraph, feed: list[Array]) -> None:
    details = {detail["index"]: detail for detail in interpreter.get_input_details()}
    wanted = [details[index] for index in _in_signature_order(interpreter, graph)]
    if len(wanted) != len(feed) or any(
        tuple(detail["shape"]) != value.shape for detail, value in zip(wanted, feed, strict=False)
    ):
        shapes = [tuple(int(size) for size in detail["shape"]) for detail in wanted]
        raise InputError(
            f"The samples have shapes {[value.shape for value in feed]}; the model takes {shapes}.",
            hint="Give the samples as the float model takes them, in the order of its inputs.",
        )
    for detail, value in zip(wanted, feed, strict=True):
        interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
    interpreter.invoke()


def _in_signature_order(interpreter: Any, graph: LiteRtGraph) -> list[int]:
    """Return the numbers of the inputs in the order `args_0`, `args_1`, …, which the graph's own need not be."""
    signatures = interpreter._get_full_signature_list()  # noqa: SLF001  # the public list has no tensor numbers
    if len(signatures) != 1:
        return list(graph.inputs)
    inputs: dict[str, int] = next(iter(signatures.values()))["inputs"]
    return [inputs[name] for name in sorted(inputs, key=_number)]


def _number(name: str) -> tuple[int, str]:
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 0, name)
