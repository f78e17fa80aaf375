"""Tell what a model answers from the shapes and names of its tensors and from its exporter's metadata (pure).

A layout is taken without asking only where nothing else writes such outputs. Where two readings are possible, both
are offered and none is taken: boxes decoded by the wrong reading look plausible and are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_converters.drafting.exporter_metadata import ExporterMetadata, read_metadata
from edgesdk_converters.drafting.output_readings import read_outputs
from edgesdk_converters.drafting.reading import Facts, Reading, reading_named
from edgesdk_targets.decode.heads.head import HeadSettings
from edgesdk_targets.decode.heads.registry import HEADS
from edgesdk_targets.decode.outputs import describe
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import DYNAMIC, Layout, TensorSpec

_UNSUPPORTED = {"segment": "masks", "pose": "keypoints", "obb": "rotated boxes"}


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input that takes the picture.

    Attributes:
        shape: batch, channels, height, width in the layout's order; -1 where the file leaves the size open.
    """

    name: str
    shape: tuple[int, int, int, int]
    dtype: str
    layout: Layout

    @property
    def channels(self) -> int:
        return self.shape[3] if self.layout == "NHWC" else self.shape[1]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, None where the file leaves one open."""
        size = self.shape[1:3] if self.layout == "NHWC" else self.shape[2:4]
        return None if DYNAMIC in size else (size[0], size[1])


@dataclass(frozen=True, slots=True)
class StatePair:
    """A tensor that goes out and comes in again with the next frame."""

    input: TensorSpec
    output: TensorSpec


@dataclass(frozen=True, slots=True)
class Recognised:
    """What could be told of a model.

    Attributes:
        readings: every way to read the outputs; exactly one without a doubt is taken by itself.
        metadata: what the exporter wrote.
        states: pairs of tensors that look like recurrent state.
        outputs: the outputs without the states'.
    """

    image: ImageInput
    readings: tuple[Reading, ...]
    metadata: ExporterMetadata
    states: tuple[StatePair, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the input, from the file or its metadata."""
        return self.image.size or self.metadata.size


def recognise(
    outputs: Sequence[TensorSpec],
    inputs: Sequence[TensorSpec],
    metadata: Mapping[str, str],
    made_by: Mapping[str, str] | None = None,
) -> Recognised:
    """Work out what a model takes and answers.

    Args:
        outputs: as the file declares them; -1 for a size that it leaves open.
        inputs: likewise.
        metadata: properties of the file, and the texts of `config.json` and `preprocessor_config.json` beside it.
        made_by: the op that makes an output, by the output's name (`Softmax`).

    Raises:
        InputError: no picture goes in, or it answers with what edgesdk has no result for.
    """
    known = read_metadata(metadata)
    if known.task in _UNSUPPORTED:
        raise InputError(
            f"This model was exported for {known.task!r}: it answers with {_UNSUPPORTED[known.task]}, which edgesdk "
            "has no result for.",
            hint="Export a model for detection or classification, or write a card with `task: embed` for raw numbers.",
        )
    picture = _picture(inputs)
    image = _image_input(picture)
    states = _states([spec for spec in inputs if spec is not picture], outputs)
    carried = {pair.output.name for pair in states}
    own = tuple(spec for spec in outputs if spec.name not in carried)
    # Among outputs of one dimension (a detector's labels) an open first size counts boxes, and not pictures.
    if all(len(spec.shape) > 1 for spec in own):
        own = tuple(_batch_of_one(spec) for spec in own)
    facts = Facts(own, image.size or known.size, known, dict(made_by or {}), bool(states))
    return Recognised(image, read_outputs(facts), known, states, own)


def resolve(recognised: Recognised, head: str | None = None) -> Reading:
    """Choose how the outputs are read.

    Args:
        recognised: the possible readings.
        head: the caller's word (`--head`): a detector's head, or a task where the output could be several.

    Raises:
        InputError: it cannot be told (the choices are listed), or the outputs are not what `head` reads.
    """
    if head is not None:
        return _as_told(recognised, head)
    certain = [one for one in recognised.readings if not one.doubt]
    if len(certain) == 1:
        return certain[0]
    shapes = describe(recognised.outputs)
    if not recognised.readings:
        raise InputError(
            f"What this model answers is not recognised: {shapes}.",
            hint="Write a model card with `task` and `postprocess`; a factory may rearrange the outputs. "
            f"Heads that are known: {', '.join(HEADS)}.",
        )
    lines = "\n".join(f"  --head {r.name:<14}{r.why}{f' ({r.doubt})' if r.doubt else ''}" for r in recognised.readings)
    raise InputError(
        f"What this model answers can be read in more than one way: {shapes}.\n{lines}"
        if len(recognised.readings) > 1
        else f"What this model answers is not certain: {shapes}.\n{lines}",
        hint="Say which it is: --head NAME, or `postprocess: {head: NAME}` in the model card.",
    )


def _as_told(recognised: Recognised, head: str) -> Reading:
    for one in recognised.readings:
        if one.name == head:
            return one
    told = reading_named(head)
    if told.task == "detect":
        settings = HeadSettings(Postprocess(head=head), (), recognised.size or (640, 640))
        HEADS[head].bind(recognised.outputs, settings)
    return told


def _picture(inputs: Sequence[TensorSpec]) -> TensorSpec:
    pictures = [spec for spec in inputs if len(spec.shape) == 4]
    if len(pictures) == 1:
        return pictures[0]
    if any(len(spec.shape) == 3 and spec.shape[0] in {1, 3} for spec in inputs) and not pictures:
        raise InputError(
            f"The model takes one picture without a batch dimension: {describe(inputs)}.",
            hint="Export it with a batch of one: torch.onnx.export(model, torch.rand(1, 3, HEIGHT, WIDTH), …).",
        )
    raise InputError(
        f"The model has no single image input (batch, channels, height, width); its inputs are {describe(inputs)}.",
        hint="Let it take one picture; further inputs may only be recurrent state.",
    )


def _image_input(spec: TensorSpec) -> ImageInput:
    batch, a, b, c = spec.shape
    if batch not in {1, DYNAMIC}:
        raise InputError(
            f"The model takes {batch} pictures at once: {describe([spec])}.",
            hint="Export it with a batch of one, or with an open batch.",
        )
    layout: Layout = "NHWC" if c in {1, 3} and a not in {1, 3} else "NCHW"
    channels = c if layout == "NHWC" else a
    if channels == DYNAMIC:
        channels = 3
    if channels not in {1, 3}:
        raise InputError(
            f"The model's input has {channels} channels: {describe([spec])}.",
            hint="A picture has 1 (gray) or 3 (colour) channels.",
        )
    shape = (1, a, b, channels) if layout == "NHWC" else (1, channels, b, c)
    return ImageInput(spec.name, shape, spec.dtype, layout)


def _states(others: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> tuple[StatePair, ...]:
    """Pair every further input with the output that feeds it.

    Raises:
        InputError: an input has no such output.
    """
    pairs: list[StatePair] = []
    free = list(outputs)
    for spec in others:
        alike = [o for o in free if o.shape == spec.shape and o.dtype == spec.dtype]
        named = [o for o in alike if spec.name.rstrip("_").removesuffix("_in") in o.name]
        found = named[0] if named else alike[0] if len(alike) == 1 and len(others) == 1 else None
        if found is None or DYNAMIC in spec.shape[1:]:
            raise InputError(
                f"The model has a further input {spec.name!r} {list(spec.shape)} that no camera can fill.",
                hint="Export it without (a mask: as a constant of ones). Recurrent state needs a fixed shape and an "
                f"output of the same shape whose name contains the input's, such as '{spec.name}_out'.",
            )
        free.remove(found)
        pairs.append(StatePair(_batch_of_one(spec), _batch_of_one(found)))
    return tuple(pairs)


def _batch_of_one(spec: TensorSpec) -> TensorSpec:
    if len(spec.shape) > 1 and spec.shape[0] == DYNAMIC:
        return spec.model_copy(update={"shape": (1, *spec.shape[1:])})
    return spec


def fields_of(reading: Reading) -> dict[str, Any]:
    """Return a card's `postprocess` for a reading."""
    head = {"head": reading.name} if reading.task == "detect" else {}
    return {**head, **reading.postprocess}
