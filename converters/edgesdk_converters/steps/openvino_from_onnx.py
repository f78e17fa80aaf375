"""ONNX → OpenVINO IR (`.xml` and `.bin`), fp32 or with weights stored as fp16, and optionally with normalisation inside.

Rule: the same model gives the same bytes, whatever this process converted before: nodes that OpenVINO numbers by a counter
of the process get names by their place, and notes about the conversion are dropped. Names of tensors stay the file's.

Folded, the first input takes pixels as they come (uint8, NHWC); the conversion to float, mean, deviation and layout are
in the graph, in float32 even where weights are fp16. The order of colours and the resize stay with the host.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_targets.errors import InputError, StepFailed

if TYPE_CHECKING:
    from onnx import GraphProto

_HINT = "Use ONNX Runtime or LiteRT for this model."


@dataclass(frozen=True, slots=True)
class Fold:
    """Normalisation to build into the model: x = (pixel - mean) / std, pixel 0..255.

    Attributes:
        color_to: the order of channels the model wants; the host delivers it, nothing is swapped in the graph.
        mean, std: one value for each channel, in that order.
    """

    color_to: Literal["rgb", "bgr", "gray"]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse values that do not fit the channels."""
        channels = 1 if self.color_to == "gray" else 3
        if len(self.mean) != channels or len(self.std) != channels:
            raise InputError(
                f"{self.color_to} has {channels} channel(s); mean has {len(self.mean)} values, std {len(self.std)}.",
                hint="Give one value a channel in `preprocess` of the model card.",
            )
        if any(value == 0 for value in self.std):
            raise InputError("A std of 0 cannot be divided by.", hint="Correct `preprocess.std` in the model card.")


def openvino_from_onnx(
    onnx: bytes, *, precision: Literal["fp32", "fp16"], fold: Fold | None = None
) -> tuple[bytes, bytes]:
    """Convert an ONNX model with fixed shapes to OpenVINO IR.

    Args:
        onnx: an ONNX file's bytes.
        precision: `fp16` stores weights as float16; what the device computes in is the session's to set.
        fold: normalisation to build into the first input, which then is uint8 NHWC.

    Returns:
        The `.xml` and the `.bin`.

    Raises:
        InputError: it is no ONNX model, a shape is not fixed, or `fold` does not fit the first input.
        StepFailed: OpenVINO cannot express an operator; the message names it.
        MissingExtra: openvino or onnx is not installed.
    """
    with framework_edge("openvino_from_onnx", hint=_HINT):
        with needs("openvino", extra="openvino"):
            import openvino

        parsed = parse_onnx(onnx)
        shapes = input_shapes(parsed)
        model = openvino.convert_model(io.BytesIO(parsed.SerializeToString(deterministic=True)))
        check_borders(model, list(shapes), [value.name for value in parsed.graph.output])
        name_by_place(model, names_in(parsed.graph))
        xml, weights = saved(model, half=precision == "fp16")
        if fold is None:
            return xml, weights
        # Folded after the weights were halved: 123.675 must not become 123.6875.
        return saved(with_fold(xml, weights, fold), half=False)


def with_fold(xml: bytes, weights: bytes, fold: Fold) -> Any:
    """Build normalisation into the first input of a saved model.

    Raises:
        InputError: the fold does not fit the input.
    """
    import openvino

    plain = openvino.Core().read_model(xml, weights)
    names = {node.get_friendly_name() for node in plain.get_ordered_ops()}
    folded = _folded(plain, fold)
    name_by_place(folded, names)
    return folded


def check_borders(model: Any, inputs: list[str], outputs: list[str]) -> None:
    """Refuse a model whose inputs or outputs lost their names or their fixed shapes."""
    for what, ports, names in (("input", model.inputs, inputs), ("output", model.outputs, outputs)):
        found = [sorted(port.get_names()) for port in ports]
        if len(found) != len(names) or any(name not in have for name, have in zip(names, found, strict=True)):
            raise StepFailed(f"openvino_from_onnx: the {what}s became {found}; the file has {names}.", hint=_HINT)
        for port, name in zip(ports, names, strict=True):
            if what == "input" and port.partial_shape.is_dynamic:
                raise StepFailed(f"openvino_from_onnx: the {what} {name!r} has no fixed shape.", hint=_HINT)


def name_by_place(model: Any, keep: set[str]) -> None:
    """Give nodes a name by their place in the graph, but for names to keep; drop notes of the conversion."""
    for place, node in enumerate(model.get_ordered_ops()):
        if node.get_friendly_name() not in keep:
            name = f"{node.get_type_name()}_{place}"
            node.set_friendly_name(name if name not in keep else f"{name}_edgesdk")
    notes = model.get_rt_info()
    if "conversion_parameters" in notes:
        del notes["conversion_parameters"]


def names_in(graph: GraphProto) -> set[str]:
    """Return every name that the file itself gives to a node or value."""
    names = {weight.name for weight in graph.initializer} | {value.name for value in graph.input}
    for node in graph.node:
        names.add(node.name)
        names.update(node.output)
    return names


def saved(model: Any, *, half: bool) -> tuple[bytes, bytes]:
    """Return a model as the `.xml` and the `.bin`."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="edgesdk-openvino-") as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _folded(model: Any, fold: Fold) -> Any:
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    port = model.inputs[0]
    shape = list(port.shape)
    if port.element_type != Type.f32 or len(shape) != 4 or shape[1] != len(fold.mean):
        raise InputError(
            f"Normalisation for {fold.color_to} cannot be built into an input of shape {tuple(shape)}, {port.element_type}.",
            hint=f"The input must be float32, (batch, {len(fold.mean)}, height, width); correct the model card.",
        )
    work = PrePostProcessor(model)
    image = work.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    image.preprocess().convert_element_type(Type.f32).mean(list(fold.mean)).scale(list(fold.std))
    return work.build()
