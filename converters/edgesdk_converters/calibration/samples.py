"""Calibration pictures as the model takes them: prepared once, kept on the disk, read by every quantiser.

A recurrent model's states are those that the float model itself reaches when it is shown the pictures in their order.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.tensor import Array, TensorSpec

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def samples_of(
    pictures: Iterable[Array],
    reference_inputs: tuple[TensorSpec, ...],
    card: ModelCard,
    *,
    states_from: Run | None = None,
    folder: Path,
) -> dict[str, Array]:
    """Prepare pictures as the float model's inputs.

    Args:
        pictures: (H, W, 3) uint8 BGR each.
        reference_inputs: the model's inputs, in its own layout.
        states_from: the float model's `run`; needed where the card declares states.
        folder: gets one `.npy` for each input; the arrays live in these files.

    Returns:
        By input name, (N, *shape of the input with its batch of 1), memory-mapped, read-only.

    Raises:
        InputError: the model does not take one picture, or a state is not finite.
        NoSpace: the disk is full.
    """
    states = {state.input: state.output for state in card.state}
    image = _image_of(reference_inputs, states, card)
    if states and states_from is None:
        raise InputError(
            f"{card.name} carries states from picture to picture.", hint="Give the float model's `run` as states_from."
        )
    prepared = image.empty()
    preprocessor = Preprocessor(card.preprocess, image) if card.preprocess else None
    feeds = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in reference_inputs}
    count = 0
    places = {spec.name: folder / f"samples-{number}.npy" for number, spec in enumerate(reference_inputs)}
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(place.open("wb")) for name, place in places.items()}
            for spec in reference_inputs:
                _write_header(files[spec.name], spec, 0)
            for picture in pictures:
                assert preprocessor is not None  # noqa: S101  (_image_of has looked)
                preprocessor.into(picture, prepared)
                feeds[image.name] = prepared
                for spec in reference_inputs:
                    files[spec.name].write(np.ascontiguousarray(feeds[spec.name]).data)
                count += 1
                if states_from is not None and states:
                    _advance(feeds, states, states_from(feeds))
            for spec in reference_inputs:
                _write_header(files[spec.name], spec, count)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"The disk is full after {count} samples.", hint="Free some space, or set TMPDIR.") from error
        raise InputError(f"{folder} cannot be written: {error}", hint="Check the folder.") from error
    if not count:
        raise InputError("There are no calibration pictures.", hint="Give 100 or more.")
    return {name: np.load(place, mmap_mode="r", allow_pickle=False) for name, place in places.items()}


def _image_of(inputs: tuple[TensorSpec, ...], states: Mapping[str, str], card: ModelCard) -> TensorSpec:
    images = [spec for spec in inputs if spec.name not in states]
    if len(images) != 1 or card.preprocess is None:
        raise InputError(
            f"{card.name} takes {[spec.name for spec in images]}, and not one picture.",
            hint="Give the card a `preprocess`, and declare the other inputs under `state`.",
        )
    return images[0]


def _advance(feeds: dict[str, Array], states: Mapping[str, str], outputs: Mapping[str, Array]) -> None:
    for name, output in states.items():
        state = np.array(outputs[output])
        if not np.isfinite(state).all():
            raise InputError(
                f"The model's state {output!r} is not finite.",
                hint="Check its weights: such a model cannot be quantised.",
            )
        feeds[name] = state.astype(feeds[name].dtype, copy=False)


def _write_header(file: IO[bytes], spec: TensorSpec, count: int) -> None:
    """Write the header for `count` samples at the file's start; its length does not depend on the count."""
    file.seek(0)
    header = {
        "descr": np.lib.format.dtype_to_descr(spec.numpy_dtype),
        "fortran_order": False,
        "shape": (count, *spec.shape),
    }
    np.lib.format.write_array_header_1_0(file, header)
