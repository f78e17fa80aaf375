"""Calibration pictures as the model takes them: prepared once, kept on the disk, read by every quantiser.

A recurrent model's states are those that the float model itself reaches when it is shown the pictures one after the
other, in the order of their source; the rows keep the order of the choice.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from edgesdk_converters.calibration.calibration_set import CalibrationSet
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.tensor import Array, TensorSpec

if TYPE_CHECKING:
    from typing_extensions import Self

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
    feeds = {spec.name: np.zeros(spec.shape, spec.numpy_dtype) for spec in reference_inputs} | {image.name: prepared}
    assert card.preprocess is not None  # noqa: S101  (_image_of has looked)
    preprocessor = Preprocessor(card.preprocess, image)
    with _Columns(reference_inputs, folder) as columns:
        for row, picture in _rows(pictures, in_source_order=bool(states)):
            preprocessor.into(picture, prepared)
            columns.write(row, feeds)
            if states_from is not None and states:
                _advance(feeds, states, states_from(feeds))
    return columns.arrays()


def _rows(pictures: Iterable[Array], *, in_source_order: bool) -> Iterator[tuple[int, Array]]:
    """Yield each picture with its row; in the order of time where a state is carried, as a device meets them."""
    if in_source_order and isinstance(pictures, CalibrationSet):
        return ((row, pictures.picture(row)) for row in pictures.in_source_order())
    return enumerate(pictures)


class _Columns:
    """One `.npy` for each input, written row by row in any order; a full disk is an error here and not a crash later."""

    def __init__(self, inputs: tuple[TensorSpec, ...], folder: Path) -> None:
        self._inputs = inputs
        self._folder = folder
        self._places = {spec.name: folder / f"samples-{number}.npy" for number, spec in enumerate(inputs)}
        self._files: dict[str, IO[bytes]] = {}
        self._starts: dict[str, int] = {}
        self._count = 0

    def __enter__(self) -> Self:
        try:
            for spec in self._inputs:
                file = self._files[spec.name] = self._places[spec.name].open("wb")
                self._starts[spec.name] = _write_header(file, spec, 0)
        except OSError as error:
            self._close()
            raise self._failed(error) from error
        return self

    def write(self, row: int, feeds: Mapping[str, Array]) -> None:
        try:
            for spec in self._inputs:
                file = self._files[spec.name]
                file.seek(self._starts[spec.name] + row * spec.size_bytes)
                file.write(np.ascontiguousarray(feeds[spec.name]).data)
        except OSError as error:
            raise self._failed(error) from error
        self._count = max(self._count, row + 1)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            for spec in self._inputs if kind is None else ():
                _write_header(self._files[spec.name], spec, self._count)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._close()

    def arrays(self) -> dict[str, Array]:
        """Open what was written."""
        if not self._count:
            raise InputError("There are no calibration pictures.", hint="Give 100 or more.")
        return {name: np.load(place, mmap_mode="r", allow_pickle=False) for name, place in self._places.items()}

    def _close(self) -> None:
        for file in self._files.values():
            with suppress(OSError):  # what could not be flushed was told already, or is not wanted any more
                file.close()

    def _failed(self, error: OSError) -> InputError | NoSpace:
        if error.errno == errno.ENOSPC:
            hint = "Free some space, or set TMPDIR to another disk."
            return NoSpace(f"The disk is full after {self._count} samples.", hint=hint)
        return InputError(f"{self._folder} cannot be written: {error}", hint="Check the folder.")


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


def _write_header(file: IO[bytes], spec: TensorSpec, count: int) -> int:
    """Write the header for `count` rows at the file's start; return where the rows begin, which is always the same."""
    file.flush()
    file.seek(0)
    shape = (count, *spec.shape)
    header = {"descr": np.lib.format.dtype_to_descr(spec.numpy_dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.flush()
    return file.tell()
