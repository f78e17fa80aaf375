"""Values that cross to a child process: JSON, with bytes and arrays as files beside it. No pickle.

Rule: what may cross is closed: None, bool, int, float, str, bytes, Path, numpy arrays, lists, tuples, dicts with text
keys, frozen dataclasses and choices (enums) of edgesdk, and `Call`, a function that the receiver calls to make the value
(a torch model is not sent: the child loads it again).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

# In the private folder: what the child is asked, and what it answers.
REQUEST, RESULT = "request.json", "result.json"
_OURS = ("edgesdk_converters.", "edgesdk_targets.", "edgesdk.")


@dataclass(frozen=True, slots=True)
class Call:
    """A value that the receiver makes by calling a function.

    Attributes:
        dotted: `package.module:function`.
        kwargs: its arguments; they may hold calls too.
    """

    dotted: str
    kwargs: Mapping[str, object] = field(default_factory=dict)


def find(dotted: str) -> Callable[..., Any]:
    """Return the function that `package.module:name` names.

    Raises:
        ImportError, AttributeError: there is none.
    """
    module, _, name = dotted.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def pack(value: object, folder: Path) -> object:  # one return for each kind
    """Return the JSON form of a value; bytes and arrays are written into the folder.

    Raises:
        TypeError: values of this kind do not cross.
    """
    if isinstance(value, Enum):
        return {"choice": _name_of(type(value)), "name": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": _write(value, folder)}
    if isinstance(value, Path):
        return {"path": str(value.absolute())}
    if isinstance(value, np.ndarray):
        name = f"{len(list(folder.iterdir()))}.npy"
        np.save(folder / name, value, allow_pickle=False)
        return {"array": name}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [pack(item, folder) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[str(key), pack(item, folder)] for key, item in value.items()]}
    if isinstance(value, Call):
        return {"call": value.dotted, "kwargs": pack(value.kwargs, folder)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {"value": _name_of(type(value)), "kwargs": pack(fields, folder)}
    raise TypeError(f"a {type(value).__name__} cannot be sent to a child process; send a file, or a Call that makes it")


def unpack(form: Any, folder: Path) -> Any:  # noqa: C901  # one case for each kind
    """Return the value that `pack` wrote.

    Raises:
        ValueError: it is no such form.
    """
    if not isinstance(form, dict):
        return form
    match form:
        case {"bytes": str(name)}:
            return (folder / name).read_bytes()
        case {"path": str(path)}:
            return Path(path)
        case {"array": str(name)}:
            return np.load(folder / name, allow_pickle=False)
        case {"list": list(items)}:
            return [unpack(item, folder) for item in items]
        case {"tuple": list(items)}:
            return tuple(unpack(item, folder) for item in items)
        case {"dict": list(items)}:
            return {key: unpack(item, folder) for key, item in items}
        case {"call": str(dotted), "kwargs": kwargs}:
            return find(dotted)(**unpack(kwargs, folder))
        case {"value": str(dotted), "kwargs": kwargs}:
            return _ours(dotted, dataclasses.is_dataclass)(**unpack(kwargs, folder))
        case {"choice": str(dotted), "name": str(name)}:
            return _ours(dotted, lambda kind: issubclass(kind, Enum))[name]
    raise ValueError(f"not a packed value: {sorted(form)}")


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _ours(dotted: str, is_value: Callable[[Any], bool]) -> Any:
    """Return a class of edgesdk by name; another is refused, whoever wrote the request."""
    kind = find(dotted) if dotted.startswith(_OURS) else None
    if not isinstance(kind, type) or not is_value(kind):
        raise ValueError(f"{dotted} is no value of edgesdk")
    return kind


def _write(content: bytes, folder: Path) -> str:
    name = f"{len(list(folder.iterdir()))}.bin"
    (folder / name).write_bytes(content)
    return name
