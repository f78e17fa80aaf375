"""A frame or a result as bytes for another process, and back: JSON for what is small, then the arrays as they lie in memory.

Nothing is executed while it is read, as a pickle would be. The labels of a model come with every result and hardly
ever change: they are sent when they do. A picture is not sent, only where it lies in shared memory.

    4 bytes, length of the header │ header, JSON │ arrays
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import numpy as np

from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array

_LENGTH = struct.Struct("<I")
_KINDS: dict[str, type] = {kind.__name__: kind for kind in (Frame, FrameResult, *get_args(Result))}

# So many models' labels are remembered; a chain has those of two.
_LABELS_KEPT = 8

# Where a picture lies: number of its memory, shape, dtype.
PictureAt = tuple[int, tuple[int, ...], str]


class FrameEncoder:
    """The sending side; one for each receiver, whose memory of the labels it mirrors."""

    def __init__(self) -> None:
        self._labels: list[tuple[str, ...]] = []
        self._newest = 0

    def encode(self, frame: Frame | FrameResult, picture: int | None) -> bytes:
        """Return a frame or a result as bytes.

        Args:
            frame: what to send; its picture stays where it is.
            picture: the number of the shared memory that holds it, or None where there is no picture.

        Raises:
            TypeError: a value of the result is of a type that cannot be sent.
        """
        labels, newest = self._labels.copy(), self._newest
        try:
            return self._message(frame, picture)
        except BaseException:
            # The receiver gets no message, and so none of the labels that stood in it.
            self._labels, self._newest = labels, newest
            raise

    def _message(self, frame: Frame | FrameResult, picture: int | None) -> bytes:
        arrays: list[Array] = []
        image = frame.image
        header = {
            "frame": self._plain(frame, arrays),
            "picture": None if image is None else (picture, image.shape, image.dtype.str),
            "arrays": [(array.shape, array.dtype.str) for array in arrays],
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        return b"".join((_LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays)))

    def _plain(self, value: object, arrays: list[Array]) -> object:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                raise TypeError("An array of Python objects cannot be sent to another process.")
            arrays.append(value)
            return {"array": len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, tuple):
            if (known := self._known(value)) is not None:
                return known
            if value and all(isinstance(item, str) for item in value):
                return self._labelled(value)
            return {"tuple": [self._plain(item, arrays) for item in value]}
        if isinstance(value, Mapping):
            return {"map": {str(key): self._plain(item, arrays) for key, item in value.items()}}
        kind = type(value).__name__
        if is_dataclass(value) and _KINDS.get(kind) is type(value):
            names = [field.name for field in fields(value) if field.name != "image"]
            return {"kind": kind, "of": {name: self._plain(getattr(value, name), arrays) for name in names}}
        raise TypeError(f"A {kind} cannot be sent to another process.")

    def _known(self, labels: tuple[object, ...]) -> object:
        for place, known in enumerate(self._labels):
            if known is labels:
                return {"labels": place}
        return None

    def _labelled(self, labels: tuple[str, ...]) -> object:
        if len(self._labels) < _LABELS_KEPT:
            self._labels.append(())
        place, self._newest = self._newest, (self._newest + 1) % _LABELS_KEPT
        self._labels[place] = labels
        return {"labels": place, "are": labels}


class FrameDecoder:
    """The receiving side.

    Args:
        picture: returns the picture that lies somewhere.

    Attributes:
        memory: the number of the one in which the last message's picture lies; None where it had none.
    """

    def __init__(self, picture: Callable[[PictureAt], Array]) -> None:
        self.memory: int | None = None
        self._picture = picture
        self._labels: dict[int, tuple[str, ...]] = {}

    def decode(self, message: bytes) -> Frame | FrameResult:
        """Return the frame or the result; its arrays are its own, its picture is only lent."""
        (length,) = _LENGTH.unpack_from(message)
        header = json.loads(message[_LENGTH.size : _LENGTH.size + length])
        arrays, at = [], _LENGTH.size + length
        for shape, dtype in header["arrays"]:
            count = int(np.prod(shape, dtype=np.int64))
            arrays.append(np.frombuffer(message, dtype, count, at).reshape(shape).copy())
            at += arrays[-1].nbytes
        told = header["frame"]
        values = {name: self._value(item, arrays) for name, item in told["of"].items()}
        self.memory, shape, dtype = header["picture"] or (None, (), "")
        if self.memory is not None:
            values["image"] = self._picture((self.memory, tuple(shape), dtype))
        frame = _KINDS[told["kind"]](**values)
        assert isinstance(frame, (Frame, FrameResult))  # noqa: S101  (it is what the encoder wrote)
        return frame

    def decode_result(self, message: bytes) -> FrameResult:
        """Return the result. Raises TypeError where it is none."""
        result = self.decode(message)
        if not isinstance(result, FrameResult):
            raise TypeError(f"A {type(result).__name__} came, and not a FrameResult.")
        return result

    def _value(self, value: Any, arrays: list[Array]) -> Any:
        if not isinstance(value, dict):
            return value
        if "kind" in value:
            return _KINDS[value["kind"]](**{name: self._value(item, arrays) for name, item in value["of"].items()})
        if "array" in value:
            return arrays[value["array"]]
        if "tuple" in value:
            return tuple(self._value(item, arrays) for item in value["tuple"])
        if "map" in value:
            return {name: self._value(item, arrays) for name, item in value["map"].items()}
        if "are" in value:
            self._labels[value["labels"]] = tuple(value["are"])
        return self._labels[value["labels"]]
