"""A model for several pictures an inference: the source as it is exported then, and whether it answers each picture for itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgesdk_converters.reference import Reference, open_reference
from edgesdk_converters.source import Source
from edgesdk_targets.batch import row_of
from edgesdk_targets.bundle.manifest import MAX_BATCH
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array, TensorSpec

_SEED = 21
# Sums over several pictures are ordered otherwise than those over one.
_CLOSE = 1e-3


def check_batch(batch: int, *, quantised: bool) -> None:
    """Refuse what is not done for several pictures, before anything is loaded.

    Raises:
        InputError: the number is none, or INT8 is asked for.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise InputError(f"A batch of {batch} pictures is none.", hint=f"Give 1 to {MAX_BATCH}.")
    if batch > 1 and quantised:
        raise InputError(
            "INT8 is built for one picture an inference: its ranges are measured picture by picture.",
            hint="Leave the batch at 1, or take fp32 or fp16 and give no calibration pictures.",
        )


def in_batches(source: Source, reference: Reference, batch: int) -> tuple[Source, Reference]:
    """Return a source and its float answers for so many pictures at once.

    Args:
        reference: of one picture.

    Raises:
        InputError: the model takes clips or has a state, does not run on several pictures, or mixes what it answers to them.
    """
    card = source.card
    if card.state or card.window is not None or card.input.shape[0] != 1:
        raise InputError(
            f"{card.name} cannot take {batch} pictures at once: it has a state, takes clips, or takes several already.",
            hint="Leave the batch at 1.",
        )
    image = card.input.model_copy(update={"shape": (batch, *card.input.shape[1:])})
    file = replace(source.card_file, card=card.model_copy(update={"input": image}))
    several = Source(source.kind, file, source.path, module=source.module)
    try:
        answers = open_reference(several)
    except InputError as error:
        raise InputError(
            f"{card.name} does not run on {batch} pictures at once: {error.message}",
            hint="Export it with an open batch, write its code for any number of pictures, or leave the batch at 1.",
        ) from error
    for spec in answers.outputs:
        row_of(spec, batch)
    _check_each_alone(reference, answers, batch)
    return several, answers


def _check_each_alone(one: Reference, several: Reference, batch: int) -> None:
    """Ask about noise, in a batch and one by one."""
    random = np.random.default_rng(_SEED)
    feeds = {spec.name: _noise(random, spec) for spec in several.inputs}
    together = {name: array.copy() for name, array in several.run(feeds).items()}
    for place in range(batch):
        alone = one.run({name: array[place : place + 1] for name, array in feeds.items()})
        for name, array in alone.items():
            got, scale = together[name][place : place + 1], float(np.abs(array).max(initial=0.0))
            if got.shape != array.shape or not np.allclose(got, array, rtol=_CLOSE, atol=_CLOSE * scale):
                raise InputError(
                    f"The model answers {name} otherwise where {batch} pictures are asked about at once.",
                    hint="Its code mixes pictures along the first dimension: correct it, or leave the batch at 1.",
                )


def _noise(random: np.random.Generator, spec: TensorSpec) -> Array:
    """Return values of a picture: from 0 to 1, and of whole numbers from 0 to 255, as all of a part of 1 would be the same 0."""
    if np.issubdtype(spec.numpy_dtype, np.integer):
        most = min(255, int(np.iinfo(spec.numpy_dtype).max))
        return random.integers(0, most, spec.shape, dtype=spec.numpy_dtype, endpoint=True)
    return random.random(spec.shape).astype(spec.numpy_dtype)
